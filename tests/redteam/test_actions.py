"""Red team through the dispatch: every action kind against a policy that forbids it, and plans that nobody made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import ACTIONS
from remediator.actions.local import LocalDispatch
from remediator.errors import Refused
from remediator.model import Effect, Plan
from remediator.policy import Command, Policy, Refusal, Root
from remediator.probes import PROBES
from selfheal.common.clock import SystemClock
from selfheal.common.processes import boot_id, read_process

PROC = Path("/proc")
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch()"


class World:
    """A host with something to lose: a process, a file, a service; and what was refused there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = f"precious-{os.getpid()}-{time.monotonic_ns()}"
        self.canary = folder / "ran"
        self.file = folder / "root/file"
        self.file.parent.mkdir()
        self.file.write_text("gold")
        os.utime(self.file, (1, 1))
        (folder / "names.yml").write_text(f"process_names: [{{name: precious, cmdline: ['{self.marker}']}}]")
        self.process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", self.marker])
        self.heard: list[tuple[Refusal, str, bool]] = []
        self.policy = Policy(source="policy.yml")

    def dispatch(self) -> LocalDispatch:
        return LocalDispatch(
            lambda: self.policy,
            ACTIONS,
            SystemClock(),
            self.folder / "names.yml",
            lambda point: None,
            probes=lambda: PROBES,
            refused=lambda *told: self.heard.append(told),
        )

    def command(self, name: str = "web") -> Command:
        argv = (sys.executable, "-c", WRITE, str(self.canary))
        return Command(name, argv, argv, argv)

    def item(self, **changes: object) -> dict[str, object]:
        """Return the precious process as a plan would list it."""
        process = read_process(PROC, self.process.pid)
        assert process is not None
        item = {"kind": "process", "pid": process.pid, "start_ticks": process.start_ticks, "uid": process.uid}
        return {**item, "group": "precious", "boot_id": boot_id(PROC), **changes}

    def check_unhurt(self) -> None:
        assert self.process.poll() is None
        assert os.getpriority(os.PRIO_PROCESS, self.process.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        assert self.file.read_text() == "gold"
        assert not self.canary.exists()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path.resolve())
    yield made
    made.process.send_signal(signal.SIGKILL)
    made.process.wait(10)


FORBIDDEN: dict[str, dict[str, object]] = {
    "process.terminate": {"group": "precious"},
    "process.reap": {"group": "precious", "restart_parent": True},
    "service.restart": {"service": "web"},
    "service.reload": {"unit": "precious.service"},
    "service.start": {"unit": "precious.service"},
    "service.reset_failed": {"unit": "precious.service"},
    "process.limit": {"unit": "precious.service", "cpu": 0.5},
    "scale.set": {"template": "precious@.service", "to": 1},
    "disk.clean": {"root": "ROOT", "older_than": "0s"},
    "disk.vacuum_journal": {"older_than": "0s"},
    "process.renice": {"group": "precious", "nice": 19},
    "process.ionice": {"group": "precious", "class": "idle"},
    "memory.reclaim": {"unit": "precious.service", "amount": "1MiB"},
    "memory.drop_caches": {},
    "command.run": {"command": "web"},
    "http.request": {"url": "http://127.0.0.1:1/"},
    "ansible.play": {"playbook": "web"},
    "silence.create": {"for": "1h", "comment": "x"},
    "git.commit_safe": {"work_tree": "/srv/precious"},
    "git.checkpoint": {"work_tree": "/srv/precious"},
}
"""Every action that touches something, with arguments that no policy of these tests permits."""


WRITTEN = frozenset(
    {"disk.vacuum_journal", "memory.reclaim", "memory.drop_caches"}
    | {"command.run", "http.request", "ansible.play", "silence.create", "git.commit_safe", "git.checkpoint"}
    | {"service.reload", "service.start", "service.reset_failed", "process.limit", "scale.set"}
)
"""Actions that need a written journal, tree or /proc, or a systemd: their own tests take the policy away from them."""


def test_every_action_that_touches_something_is_tried() -> None:
    assert set(FORBIDDEN) == {name for name, action in ACTIONS.items() if action.effect is not Effect.READ_ONLY}


def arguments_of(name: str, world: World) -> dict[str, object]:
    return {key: str(world.file.parent) if value == "ROOT" else value for key, value in FORBIDDEN[name].items()}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_without_a_policy_nothing_is_planned_and_the_attempt_is_told(world: World, name: str) -> None:
    with pytest.raises(Refused, match="is not permitted"):
        world.dispatch().plan("here", name, arguments_of(name, world), 5.0)

    ((refusal, by, first),) = world.heard
    assert (by, first) == (name, True)
    assert refusal.detail
    world.check_unhurt()


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_policy_for_others_permits_nothing_here(world: World, name: str) -> None:
    other = replace(world.command("other"), name="other")
    world.policy = Policy(
        process_groups=("precious-*", "Precious", ""), roots=(Root("/var/empty", 0.0),), commands=(other,)
    )

    with pytest.raises(Refused):
        world.dispatch().plan("here", name, arguments_of(name, world), 5.0)
    world.check_unhurt()


def forged(name: str, world: World) -> Plan:
    """Return the plan that a forger with the store in hand would write."""
    root = world.file.parent
    seen = world.file.stat()
    file: dict[str, Any] = {"kind": "file", "path": str(world.file), "size": 4, "modified_ns": seen.st_mtime_ns}
    match name:
        case "process.terminate":
            return Plan((world.item(),), {"group": "precious", "grace": 0.1})
        case "process.reap":
            # a zombie that is claimed to be there, so that its parent is ended
            zombie = {"pid": world.process.pid, "start_ticks": 1}
            detail = {"restart_parent": True, "grace": 0.1, "group": "precious"}
            return Plan((world.item(zombies=[zombie]),), detail)
        case "process.renice" | "process.ionice":
            item = world.item()
            thread = {"tid": item["pid"], "start_ticks": item["start_ticks"], "was": 0}
            return Plan(({**item, "threads": [thread]},), {"group": "precious", "nice": 19, "ioprio": 3 << 13})
        case "memory.reclaim":
            place = {"unit": "precious.service", "cgroup": "/precious.service", "inode": 1}
            return Plan(({"kind": "memory", **place, "bytes": 1 << 20},))
        case "memory.drop_caches":
            return Plan(({"kind": "memory", "name": "page cache", "bytes": 1},))
        case "disk.vacuum_journal":
            folders = [{"directory": str(root), "inode": root.stat().st_ino}]
            return Plan(({**file, "inode": seen.st_ino},), {"directories": folders})
        case "command.run":
            item = {"kind": "command", "command": "web", "parameters": {}}
            return Plan((item,), {"command": "web", "command_digest": ""})
        case "http.request":
            return Plan(({"kind": "request", "method": "POST", "url": "http://127.0.0.1:1/"},), {"expect": None})
        case "ansible.play":
            return Plan(({"kind": "ansible", "playbook": "web"},), {"playbook": "web", "parameters": {}})
        case "silence.create":
            matcher = {"name": "alertname", "value": ".*", "isRegex": True, "isEqual": True}
            item = {"kind": "silence", "seconds": 9e9, "comment": "x", "matchers": [matcher]}
            return Plan((item,), {"mark": "1-x"})
        case "service.reload" | "service.start" | "service.reset_failed":
            run = {"active_state": "failed", "main_pid": 0, "invocation_id": ""}
            item = {"kind": "unit", "unit": "precious.service", "verb": "start"}
            return Plan((item,), {"unit": "precious.service", **run})
        case "process.limit":
            limit = {"property": "CPUQuota", "from": "infinity", "to": "10000"}
            return Plan(({"kind": "limit", "unit": "precious.service", **limit},), {"unit": "precious.service"})
        case "scale.set":
            item = {"kind": "unit", "unit": "precious@1.service", "verb": "stop"}
            return Plan((item,), {"template": "precious@.service", "running": [1], "count": 1, "to": 0})
        case "git.commit_safe" | "git.checkpoint":
            blob = {"kind": "blob", "path": "file", "change": "added", "mode": "100644", "blob": "0" * 40, "rule": "**"}
            return Plan((blob,), {"work_tree": str(root)})
        case "service.restart":
            return Plan(({"kind": "command", "service": "web", "verb": "start"},), {"service": "web"})
    identity = [root.stat().st_dev, root.stat().st_ino]
    return Plan(({**file, "inode": seen.st_ino},), {"root": str(root), "root_identity": identity})


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_forged_plan_touches_nothing_that_the_policy_does_not_permit(world: World, name: str) -> None:
    try:
        outcome = world.dispatch().run("here", name, forged(name, world), 5.0)
    except Refused:
        assert world.heard or name == "service.restart"
    else:
        # nothing was there to be done
        assert outcome.effects == ()
    world.check_unhurt()


@pytest.mark.parametrize("name", sorted(set(FORBIDDEN) - WRITTEN))
def test_a_permitted_plan_is_refused_once_the_policy_is_taken_away(world: World, name: str) -> None:
    root = str(world.file.parent)
    world.policy = Policy(
        process_groups=("precious",), roots=(Root(root, 0.0),), commands=(world.command(),), source="policy.yml"
    )
    plan = world.dispatch().plan("here", name, arguments_of(name, world), 5.0)
    world.policy = Policy(source="policy.yml")

    if plan.items:
        with pytest.raises(Refused):
            world.dispatch().run("here", name, plan, 5.0)
    else:
        assert name == "process.reap"
    world.check_unhurt()


HOSTILE = [
    "",
    "*",
    "../x",
    "/",
    "precious\n",
    "{{ $labels.x }}",
    "-rf",
    "preciou\N{CYRILLIC SMALL LETTER DZE}",
    "a" * 300,
]


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_hostile_label_names_nothing(world: World, name: str, value: str) -> None:
    world.policy = Policy(process_groups=("precious",), roots=(Root("/var/empty", 0.0),), commands=(world.command(),))
    arguments = {
        key: value if isinstance(wanted, str) and key != "older_than" else wanted
        for key, wanted in FORBIDDEN[name].items()
    }

    with pytest.raises((Refused, ValueError)):
        world.dispatch().plan("here", name, arguments, 5.0)
    world.check_unhurt()


PROBED = {
    "http": {"url": "http://127.0.0.1:1/"},
    "tcp": {"address": "tcp://127.0.0.1:1"},
    "service": {"service": "web"},
    "command": {"command": "web"},
    "disk": {"root": "/"},
    "process.top": {"group": "precious"},
}
"""Every probe that reaches out by a door or names something of the policy."""


@pytest.mark.parametrize("name", PROBED)
def test_a_probe_asks_the_policy_too(world: World, name: str) -> None:
    with pytest.raises(Refused, match="is not permitted"):
        world.dispatch().probe("here", name, PROBED[name], 5.0)

    assert [(by, first) for _, by, first in world.heard] == [(name, True)]
    world.check_unhurt()


def test_every_probe_is_tried_that_could_reach_out() -> None:
    assert set(PROBED) == set(PROBES) - {"prometheus"}


def test_of_one_attempt_every_refusal_is_told_and_one_is_the_first(world: World) -> None:
    world.policy = Policy(process_groups=("precious",), users=frozenset(), source="policy.yml")
    other = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", world.marker])
    try:
        with pytest.raises(Refused, match="none of 2 processes may be signalled"):
            world.dispatch().plan("here", "process.terminate", {"group": "precious"}, 5.0)
    finally:
        other.kill()
        other.wait(10)

    assert [first for _, _, first in world.heard] == [True, False]
