"""process.ionice on real workers, each thread's io priority asked of the kernel."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import Refused
from remediator.priorities import IO, io_parts, io_value, threads_of
from selfheal.common.problems import ConfigError

THREADED = """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
print('up', flush=True)
while True: signal.pause()
"""
NONE = (0, 0)


def classes(child: Any) -> list[tuple[int, int]]:
    """Return class and level of each thread of a child."""
    return [io_parts(thread.value) for thread in threads_of(Path("/proc"), child.pid, IO)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"class": "idle"}, (3, 0)),
        ({"class": "best_effort"}, (2, 7)),
        ({"class": "best_effort", "level": 5}, (2, 5)),
    ],
)
def test_every_thread_waits_longer_and_undo_gives_back_what_it_had(
    host: Any, wanted: dict[str, Any], expected: tuple[int, int]
) -> None:
    child, bystander = host.start(THREADED)[0], host.start(group="b")[0]
    before = classes(child)
    plan = host.plan("process.ionice", group="worker-a", **wanted)

    outcome = host.run("process.ionice", plan)

    assert outcome.ok
    assert classes(child) == [expected, expected]
    assert classes(bystander) == [NONE]
    taken = host.dispatch().undo("web-1", "process.ionice", plan, outcome, 20.0)
    assert taken.ok
    assert classes(child) == before == [NONE, NONE]


def test_nobody_is_ever_made_more_urgent(host: Any) -> None:
    child, _ = host.start()
    host.run("process.ionice", host.plan("process.ionice", group="worker-a", **{"class": "idle"}))

    assert host.plan("process.ionice", group="worker-a", **{"class": "best_effort"}).items == ()
    assert host.plan("process.ionice", group="worker-a", **{"class": "idle"}).items == ()
    assert classes(child) == [(3, 0)]


@pytest.mark.parametrize(
    ("nice", "level", "listed"), [(0, 4, 0), (0, 5, 1), (9, 5, 0), (9, 6, 1), (10, 6, 0), (19, 7, 0), (14, 7, 1)]
)
def test_a_thread_of_no_class_is_served_by_its_nice_value(host: Any, nice: int, level: int, listed: int) -> None:
    child, _ = host.start()
    os.setpriority(os.PRIO_PROCESS, child.pid, nice)

    plan = host.plan("process.ionice", group="worker-a", **{"class": "best_effort", "level": level})

    assert len(plan.items) == listed


def test_a_thread_of_no_class_that_only_gets_idle_cpu_time_waits_longest_already(host: Any) -> None:
    child, _ = host.start()
    os.sched_setscheduler(child.pid, os.SCHED_IDLE, os.sched_param(0))

    assert host.plan("process.ionice", group="worker-a", **{"class": "best_effort"}).items == ()
    assert host.plan("process.ionice", group="worker-a", **{"class": "idle"}).items == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"class": "realtime"},
        {"class": "realtime", "level": 0},
        {"class": "idle", "level": 1},
        {"class": "best_effort", "level": 8},
        {"class": "best_effort", "level": 1.5},
        {},
    ],
)
def test_what_could_hold_up_others_or_is_no_level_is_not_accepted(host: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        host.plan("process.ionice", group="worker-a", **wrong)


@pytest.mark.parametrize("value", [None, "3", io_value(1, 0), 0, -1, io_value(2, 5) | 1 << 20])
def test_a_stored_plan_with_another_class_is_refused(host: Any, value: Any) -> None:
    child, _ = host.start()
    plan = host.plan("process.ionice", group="worker-a", **{"class": "idle"})

    with pytest.raises(Refused, match="names no io priority"):
        host.run("process.ionice", replace(plan, detail={**plan.detail, "ioprio": value}))
    assert classes(child) == [NONE]
