"""process.renice on real workers with several threads: who is chosen, what is set, and that it can be taken back."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import _priorities
from remediator.errors import Refused
from remediator.model import Outcome, Plan
from remediator.priorities import NICE, Thread, change, may_be_raised, threads_of
from remediator.signals import Identity, hold
from selfheal.common.problems import ConfigError
from tests.tools import do_without

THREADED = """
import signal, threading
for _ in range(2): threading.Thread(target=threading.Event().wait, daemon=True).start()
print('up', flush=True)
while True: signal.pause()
"""
BUSY = "print('up', flush=True)\nwhile True: pass"


def nices(child: subprocess.Popen[str]) -> list[int]:
    """Return the nice value of each thread of a child."""
    return [thread.value for thread in threads_of(Path("/proc"), child.pid, NICE)]


def undo(host: Any, plan: Plan, outcome: Outcome) -> Outcome:
    """Take back what was done of a plan."""
    taken: Outcome = host.dispatch().undo("web-1", "process.renice", plan, outcome, 20.0)
    return taken


def needs_the_privilege() -> None:
    """Skip where the kernel would not let us make anything less nice again."""
    if not may_be_raised(Path("/proc")):
        do_without("this user may not make a process less nice again")


def test_the_plan_lists_each_thread_with_the_nice_value_it_has(host: Any) -> None:
    child, _ = host.start(THREADED)
    host.start(group="b")
    own = os.getpriority(os.PRIO_PROCESS, child.pid)

    plan = host.plan("process.renice", group="worker-a", nice=15)

    (item,) = plan.items
    assert (item["pid"], item["group"], item["nice"]) == (child.pid, "worker-a", 15)
    assert sorted(each["tid"] for each in item["threads"]) == sorted(
        int(entry.name) for entry in Path(f"/proc/{child.pid}/task").iterdir()
    )
    assert [each["was"] for each in item["threads"]] == [own] * 3
    assert nices(child) == [own] * 3
    assert ("undo_needs" in plan.detail) is not may_be_raised(Path("/proc"))


def test_every_thread_of_the_planned_processes_is_set_and_nobody_else(host: Any) -> None:
    child, bystander = host.start(THREADED)[0], host.start(THREADED, group="b")[0]
    before = nices(bystander)
    plan = host.plan("process.renice", group="worker-a", nice=15)
    later = host.start()[0]

    outcome = host.run("process.renice", plan)

    assert outcome.ok
    assert nices(child) == [15, 15, 15]
    assert nices(bystander) == before
    assert nices(later) != [15]
    (effect,) = outcome.effects
    assert (effect["pid"], effect["nice"], len(effect["threads"])) == (child.pid, 15, 3)
    assert host.points == ["effect_begun", "effect_done"]


def test_undo_gives_exactly_those_threads_what_they_had(host: Any) -> None:
    needs_the_privilege()
    child, _ = host.start(THREADED)
    before = nices(child)
    os.setpriority(os.PRIO_PROCESS, child.pid, 3)
    plan = host.plan("process.renice", group="worker-a", nice=15)
    outcome = host.run("process.renice", plan)

    taken = undo(host, plan, outcome)

    assert taken.ok
    assert nices(child) == [3, *before[1:]]


def test_undo_leaves_alone_what_others_have_set_since(host: Any) -> None:
    needs_the_privilege()
    child, _ = host.start(THREADED)
    before = nices(child)
    plan = host.plan("process.renice", group="worker-a", nice=10)
    outcome = host.run("process.renice", plan)
    os.setpriority(os.PRIO_PROCESS, child.pid, 19)

    taken = undo(host, plan, outcome)

    assert taken.ok
    assert nices(child) == [19, *before[1:]]
    assert taken.detail["left_alone"] == [{"pid": child.pid, "tid": child.pid, "why": "has another nice value now"}]


def test_a_redo_after_a_crash_tells_the_same_effects_and_can_be_taken_back(host: Any) -> None:
    needs_the_privilege()
    child, _ = host.start(THREADED)
    before = nices(child)
    plan = host.plan("process.renice", group="worker-a", nice=10)
    first = host.run("process.renice", plan)

    again = host.run("process.renice", plan)

    assert again.effects == first.effects
    undo(host, plan, again)
    assert nices(child) == before


def test_who_is_as_nice_already_is_nothing_to_do(host: Any) -> None:
    child, _ = host.start()
    os.setpriority(os.PRIO_PROCESS, child.pid, 12)

    assert host.plan("process.renice", group="worker-a", nice=12).items == ()
    assert host.plan("process.renice", group="worker-a", nice=5).items == ()
    assert len(host.plan("process.renice", group="worker-a", nice=13).items) == 1


def test_over_cpu_takes_the_busy_ones(host: Any) -> None:
    host.start()
    busy = host.start(BUSY)[0]

    # on a machine that is taken up it may get no time at all between two readings
    plans = (host.plan("process.renice", group="worker-a", nice=19, over_cpu=0.001) for _ in range(30))
    plan = next(plan for plan in plans if plan.items)

    assert [item["pid"] for item in plan.items] == [busy.pid]
    assert plan.items[0]["cpu_cores"] > 0


def test_what_was_set_otherwise_since_the_plan_is_left_alone(host: Any) -> None:
    child, _ = host.start()
    plan = host.plan("process.renice", group="worker-a", nice=10)
    os.setpriority(os.PRIO_PROCESS, child.pid, 7)

    outcome = host.run("process.renice", plan)

    assert outcome.effects == ()
    assert nices(child) == [7]
    assert outcome.detail["left_alone_count"] == 1


def test_a_process_that_ended_since_is_done(host: Any) -> None:
    child, _ = host.start()
    plan = host.plan("process.renice", group="worker-a", nice=10)
    child.kill()
    child.wait(10)

    outcome = host.run("process.renice", plan)

    assert (outcome.ok, outcome.effects) == (True, ())


def test_a_thread_of_another_process_in_a_stored_plan_is_never_set(host: Any) -> None:
    child, other = host.start()[0], host.start(group="b")[0]
    plan = host.plan("process.renice", group="worker-a", nice=10)
    (thread,) = host.plan("process.renice", group="worker-b", nice=10).items[0]["threads"]
    forged = replace(plan, items=({**plan.items[0], "threads": [thread]},))

    outcome = host.run("process.renice", forged)

    assert outcome.effects == ()
    assert nices(other) == nices(child) != [10]


@pytest.mark.parametrize(
    "thread", [{}, {"tid": 0, "start_ticks": 1, "was": 0}, {"tid": -1, "start_ticks": 1, "was": 0}, "all", None]
)
def test_a_stored_plan_that_names_no_thread_is_refused(host: Any, thread: Any) -> None:
    host.start()
    plan = host.plan("process.renice", group="worker-a", nice=10)

    with pytest.raises(Refused, match="names no thread"):
        host.run("process.renice", replace(plan, items=({**plan.items[0], "threads": [thread]},)))
    assert host.points == []


@pytest.mark.parametrize("nice", [0, 20, 1.5, -1])
def test_only_a_nicer_value_is_accepted(host: Any, nice: float) -> None:
    with pytest.raises(ConfigError):
        host.plan("process.renice", group="worker-a", nice=nice)


@pytest.mark.parametrize("nice", [None, -20, 0, "10", True])
def test_a_stored_plan_with_another_nice_value_is_refused(host: Any, nice: Any) -> None:
    child, _ = host.start()
    plan = host.plan("process.renice", group="worker-a", nice=10)
    before = nices(child)

    with pytest.raises(Refused, match="names no nice value"):
        host.run("process.renice", replace(plan, detail={**plan.detail, "nice": nice}))
    assert nices(child) == before


def test_a_thread_whose_process_ended_while_it_was_held_is_told_so(host: Any) -> None:
    child, _ = host.start()
    plan = host.plan("process.renice", group="worker-a", nice=10)
    policy = replace(host.policy, grouping=host.dispatch()._groups.grouping())
    with hold(Identity.of_item(plan.items[0]), policy) as held:
        child.send_signal(signal.SIGKILL)
        child.wait(10)

        why = change(held, Thread.of_item(plan.items[0]["threads"][0]), NICE, 10, policy)

    assert why == "has ended"


def test_a_plan_holds_only_so_many_threads_and_says_how_many_processes_more(
    host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_priorities, "MOST_THREADS", 4)
    host.start(THREADED)
    host.start(THREADED)

    plan = host.plan("process.renice", group="worker-a", nice=10)

    assert len(plan.items) == 1
    assert plan.detail["beyond_limit"] == 1
