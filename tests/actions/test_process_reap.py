"""process.reap on real zombies of real parents."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from remediator.actions import ACTIONS, process_reap
from remediator.errors import Refused
from selfheal.common.problems import ConfigError
from selfheal.common.processes import read_process

Wait = Callable[[Callable[[], bool]], None]

LEAVES = """
import os, signal, sys
REAPS
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
READY
print('up', flush=True)
for pid in children: print(pid, flush=True)
while True: signal.pause()
"""
REAP_ALL = """
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
signal.signal(signal.SIGCHLD, reap)
"""
# reaps only once it is told to: the handler is set when the children have already ended
WELL = LEAVES.replace("REAPS", "").replace("READY", REAP_ALL)
SICK = LEAVES.replace("REAPS", "").replace("READY", "")
DEAF = SICK.replace("children = []", "children = []; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
# its first thread ends by the system call exit (60, or 93 where calls are numbered as on arm64), and the other stays
HALF = """
import ctypes, os, platform, signal, threading
pid = os.fork()
if pid == 0:
    threading.Thread(target=threading.Event().wait).start()
    ctypes.CDLL(None).syscall(60 if platform.machine() == 'x86_64' else 93, 0)
print('up', flush=True)
print(pid, flush=True)
while True: signal.pause()
"""


def is_zombie(host: Any, pid: int) -> bool:
    """Say whether a pid is a zombie."""
    process = read_process(host.policy.procfs, pid)
    return process is not None and process.is_zombie


def test_the_plan_lists_the_parents_with_their_zombies(host: Any) -> None:
    parent, zombies = host.start(WELL, lines=3)
    host.start(WELL, group="b", lines=3)
    host.start()

    plan = host.plan("process.reap", group="worker-a")

    (item,) = plan.items
    assert (item["kind"], item["pid"], item["group"]) == ("process", parent.pid, "worker-a")
    assert sorted(zombie["pid"] for zombie in item["zombies"]) == sorted(map(int, zombies))
    assert plan.detail == {"group": "worker-a", "grace": 5.0, "restart_parent": False}
    assert all(is_zombie(host, int(pid)) for pid in zombies)


def test_a_child_whose_first_thread_has_ended_lives_and_is_no_zombie(host: Any, wait_until: Wait) -> None:
    """The kernel shows it as one, but there is nothing to collect, and to end its parent would orphan it."""
    _, (child,) = host.start(HALF, lines=1)
    try:
        wait_until(lambda: read_process(host.policy.procfs, int(child)).state == "Z")
        plan = host.plan("process.reap", group="worker-a", restart_parent=True)
    finally:
        os.kill(int(child), signal.SIGKILL)

    assert plan.items == ()
    wait_until(lambda: len(host.plan("process.reap", group="worker-a").items) == 1)


def test_a_parent_that_hears_collects_and_lives_on(host: Any) -> None:
    parent, zombies = host.start(WELL, lines=3)
    bystander, others = host.start(WELL, group="b", lines=3)

    outcome = host.run("process.reap", host.plan("process.reap", group="worker-a"))

    assert outcome.ok
    assert [(effect["pid"], effect["signals"]) for effect in outcome.effects] == [(parent.pid, ["SIGCHLD"])]
    assert all(read_process(host.policy.procfs, int(pid)) is None for pid in zombies)
    assert parent.poll() is None
    assert bystander.poll() is None
    assert all(is_zombie(host, int(pid)) for pid in others)
    assert host.points == ["effect_begun", "effect_done"]


def test_a_parent_that_does_not_hear_is_left_alive_and_the_rest_is_told(host: Any) -> None:
    parent, zombies = host.start(SICK, lines=3)

    outcome = host.run("process.reap", host.plan("process.reap", group="worker-a", grace="200ms"))

    assert not outcome.ok
    assert outcome.detail["zombies_left"] == [{"parent": parent.pid, "zombies": 3}]
    assert [effect["signals"] for effect in outcome.effects] == [["SIGCHLD"]]
    assert parent.poll() is None
    assert all(is_zombie(host, int(pid)) for pid in zombies)


@pytest.mark.parametrize(
    ("code", "signals"), [(SICK, ["SIGTERM"]), (DEAF, ["SIGTERM", "SIGKILL"])], ids=["sick", "deaf"]
)
def test_only_when_asked_for_a_parent_that_does_not_hear_is_ended(
    host: Any, wait_until: Wait, code: str, signals: list[str]
) -> None:
    parent, zombies = host.start(code, lines=3)

    plan = host.plan("process.reap", group="worker-a", grace="300ms", restart_parent=True)
    outcome = host.run("process.reap", plan)

    assert outcome.ok, outcome.detail
    assert [effect["signals"] for effect in outcome.effects] == [["SIGCHLD"], signals]
    assert parent.wait(10) in (-signal.SIGTERM, -signal.SIGKILL)
    wait_until(lambda: not any(is_zombie(host, int(pid)) for pid in zombies))


def test_a_parent_that_hears_is_not_ended_though_it_was_allowed(host: Any) -> None:
    parent, _ = host.start(WELL, lines=3)

    outcome = host.run("process.reap", host.plan("process.reap", group="worker-a", restart_parent=True))

    assert outcome.ok
    assert [effect["signals"] for effect in outcome.effects] == [["SIGCHLD"]]
    assert parent.poll() is None


def test_a_group_without_zombies_is_an_empty_plan(host: Any) -> None:
    host.start()

    assert host.plan("process.reap", group="worker-a").items == ()


def test_a_redo_after_the_zombies_are_gone_signals_nobody(host: Any) -> None:
    parent, _ = host.start(WELL, lines=3)
    plan = host.plan("process.reap", group="worker-a", restart_parent=True)
    host.run("process.reap", plan)

    outcome = host.run("process.reap", plan)

    assert outcome.ok
    assert outcome.effects == ()
    assert parent.poll() is None


def test_a_redo_after_the_parent_is_gone_does_nothing(host: Any) -> None:
    parent, _ = host.start(SICK, lines=3)
    plan = host.plan("process.reap", group="worker-a", restart_parent=True)
    parent.kill()
    parent.wait(10)

    outcome = host.run("process.reap", plan)

    assert outcome.ok
    assert outcome.effects == ()


def test_a_redo_after_the_parents_pid_is_anothers_does_nothing(host: Any) -> None:
    parent, _ = host.start(SICK, lines=3)
    plan = host.plan("process.reap", group="worker-a", restart_parent=True)
    stored = replace(plan, items=tuple({**item, "start_ticks": 1} for item in plan.items))

    outcome = host.run("process.reap", stored)

    assert outcome.ok
    assert outcome.effects == ()
    assert parent.poll() is None


def test_a_zombie_of_the_remediator_itself_is_refused(host: Any, wait_until: Wait) -> None:
    # this very process is the parent, the only member of its group, and the group is permitted
    line = " ".join(read_process(host.policy.procfs, os.getpid()).argv)
    names = [{"name": "worker-own", "cmdline": [f"^{re.escape(line)}$"]}]
    (host.folder / "processes.yml").write_text(json.dumps({"process_names": names}))
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    try:
        wait_until(lambda: is_zombie(host, zombie.pid))

        with pytest.raises(Refused, match=f"pid {os.getpid()} is the remediator itself"):
            host.plan("process.reap", group="worker-own", restart_parent=True)
    finally:
        zombie.wait(10)


def test_a_plan_that_names_no_zombies_is_refused(host: Any) -> None:
    host.start(WELL, lines=3)
    plan = host.plan("process.reap", group="worker-a")
    stored = replace(plan, items=tuple({**item, "zombies": "all"} for item in plan.items))

    with pytest.raises(Refused, match="the stored plan names no zombies"):
        host.run("process.reap", stored)

    assert host.points == []


def test_a_plan_lists_only_so_many_zombies_and_says_how_many_more(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_reap, "MOST_LISTED", 2)
    host.start(WELL, lines=3)

    plan = host.plan("process.reap", group="worker-a")

    assert len(plan.items[0]["zombies"]) == 2
    assert plan.detail["zombies_beyond_limit"] == 1


def test_a_plan_of_version_1_is_told_apart_by_the_actions_version(host: Any) -> None:
    # it asked by another key to end a parent; an intent of version 1 is stopped before its effect
    assert ACTIONS["process.reap"].version == 2
    parent, _ = host.start(SICK, lines=3)
    plan = host.plan("process.reap", group="worker-a", grace="200ms")
    old = replace(plan, detail={**plan.detail, "terminate_parent": True})
    del old.detail["restart_parent"]

    outcome = host.run("process.reap", old)

    assert not outcome.ok
    assert parent.poll() is None


def test_the_former_name_of_the_argument_is_no_argument_any_more(host: Any) -> None:
    with pytest.raises(ConfigError, match="terminate_parent"):
        host.plan("process.reap", group="worker-a", terminate_parent=True)
