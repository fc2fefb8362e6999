"""The table of actions, and what every one of them promises."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from typing import Any

import pytest

from remediator import actions
from remediator.actions import (
    ACTIONS,
    annotate_mark,
    ansible_play,
    command_run,
    disk_clean,
    disk_vacuum_journal,
    git_checkpoint,
    git_commit_safe,
    http_request,
    memory_drop_caches,
    memory_reclaim,
    notify_log,
    problems,
    process_ionice,
    process_limit,
    process_reap,
    process_renice,
    process_terminate,
    scale_set,
    service_reload,
    service_reset_failed,
    service_restart,
    service_start,
    silence_create,
    validate,
)
from remediator.errors import Refused
from remediator.model import Action, Effect, Plan

CHECKED: tuple[Action, ...] = (
    annotate_mark,
    ansible_play,
    command_run,
    disk_clean,
    disk_vacuum_journal,
    git_checkpoint,
    git_commit_safe,
    http_request,
    memory_drop_caches,
    memory_reclaim,
    notify_log,
    process_ionice,
    process_limit,
    process_reap,
    process_renice,
    process_terminate,
    scale_set,
    service_reload,
    service_reset_failed,
    service_restart,
    service_start,
    silence_create,
)
"""The table loads modules by name, so it is here that their types are checked against the contract."""


def test_every_action_of_the_table_was_checked_against_the_contract() -> None:
    assert {each.name: each for each in CHECKED} == dict(ACTIONS)


def test_what_no_playbook_uses_is_not_loaded() -> None:
    look = "import remediator.app, sys; print(sorted(m for m in sys.modules if m.startswith('remediator.actions.')))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "['remediator.actions.arguments', 'remediator.actions.local']"


def test_every_action_module_is_in_the_table() -> None:
    modules = [
        importlib.import_module(f"remediator.actions.{found.name}") for found in pkgutil.iter_modules(actions.__path__)
    ]

    found = {module.name: module for module in modules if hasattr(module, "run") and hasattr(module, "name")}

    assert found == dict(ACTIONS)


@pytest.mark.parametrize(
    ("name", "effect", "idempotent"),
    [
        ("process.terminate", Effect.DESTRUCTIVE, True),
        ("process.reap", Effect.DESTRUCTIVE, True),
        ("service.restart", Effect.DESTRUCTIVE, False),
        ("service.reload", Effect.DESTRUCTIVE, False),
        ("service.start", Effect.REVERSIBLE, False),
        ("service.reset_failed", Effect.DESTRUCTIVE, True),
        ("process.limit", Effect.REVERSIBLE, True),
        ("scale.set", Effect.REVERSIBLE, True),
        ("disk.clean", Effect.DESTRUCTIVE, True),
        ("disk.vacuum_journal", Effect.DESTRUCTIVE, True),
        ("process.renice", Effect.REVERSIBLE, True),
        ("process.ionice", Effect.REVERSIBLE, True),
        ("memory.reclaim", Effect.DESTRUCTIVE, True),
        ("memory.drop_caches", Effect.DESTRUCTIVE, True),
        ("git.commit_safe", Effect.REVERSIBLE, True),
        ("git.checkpoint", Effect.REVERSIBLE, True),
        ("notify.log", Effect.READ_ONLY, True),
    ],
)
def test_what_an_action_does_to_the_host_is_declared(name: str, effect: Effect, idempotent: bool) -> None:
    action = ACTIONS[name]

    assert (action.name, action.effect, action.idempotent) == (name, effect, idempotent)
    assert action.version >= 1


@pytest.mark.parametrize("name", ACTIONS)
def test_defaults_can_be_read(name: str) -> None:
    action = ACTIONS[name]

    assert not [fault for fault in problems(action, {}) if fault.what != "is missing" and fault.path]
    assert callable(validate)


def test_an_action_that_is_not_in_the_table_is_refused(host: Any) -> None:
    with pytest.raises(Refused, match=r"there is no action 'shell\.run'"):
        host.plan("shell.run", command="rm")
    with pytest.raises(Refused, match=r"there is no action 'shell\.run'"):
        host.run("shell.run", Plan(()))


@pytest.mark.parametrize("name", ["process.terminate", "process.reap", "disk.clean"])
def test_an_item_that_no_plan_of_ours_could_hold_is_refused(host: Any, name: str) -> None:
    host.permit_root(host.folder / "root")
    (host.folder / "root").mkdir()

    with pytest.raises(Refused, match="the stored plan names no"):
        host.run(name, Plan(({"kind": "command", "argv": ["rm"]},), {"root": str(host.folder / "root")}))
    assert host.points == []


@pytest.mark.parametrize("name", ["process.terminate", "process.reap"])
def test_without_known_groups_nothing_is_done(host: Any, name: str) -> None:
    host.start()
    dispatch = host.dispatch()
    (host.folder / "processes.yml").write_text("process_names: [")

    with pytest.raises(Refused, match=r"processes\.yml"):
        dispatch.plan("web-1", name, {"group": "worker-a"}, 5.0)


def test_changed_groups_are_read_again(host: Any) -> None:
    child, _ = host.start()
    dispatch = host.dispatch()
    path = host.folder / "processes.yml"
    path.write_text(path.read_text().replace("worker-a", "worker-renamed"))

    assert dispatch.plan("web-1", "process.terminate", {"group": "worker-a"}, 5.0).items == ()
    (item,) = dispatch.plan("web-1", "process.terminate", {"group": "worker-renamed"}, 5.0).items
    assert item["pid"] == child.pid
