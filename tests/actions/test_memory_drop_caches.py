"""memory.drop_caches on a written /proc: this machine's own caches are everybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remediator.actions import ACTIONS
from remediator.actions.local import LocalDispatch
from remediator.errors import Refused
from remediator.model import Outcome, Plan
from remediator.policy.memory import Memory
from selfheal.common.clock import SystemClock
from selfheal.common.problems import Problem

MEMINFO = """MemTotal:       1000 kB
MemFree:         100 kB
MemAvailable:    400 kB
Buffers:          20 kB
Cached:          300 kB
Shmem:            50 kB
Dirty:            70 kB
"""


class Kernel:
    """A written /proc, and a dispatch that takes it for the host's."""

    def __init__(self, host: Any) -> None:
        self.host = host
        self.procfs = host.folder / "proc"
        self.file = self.procfs / "sys/vm/drop_caches"
        self.file.parent.mkdir(parents=True)
        self.file.write_text("")
        (self.procfs / "meminfo").write_text(MEMINFO)
        host.permit(memory=Memory(drop_caches=True))

    def dispatch(self) -> LocalDispatch:
        """Return the dispatch."""
        groups: Path = self.host.folder / "processes.yml"
        return LocalDispatch(
            lambda: self.host.policy, ACTIONS, SystemClock(), groups, self.host.points.append, procfs=self.procfs
        )

    def plan(self) -> Plan:
        """Plan it."""
        return self.dispatch().plan("web-1", "memory.drop_caches", {}, 20.0)

    def run(self, plan: Plan) -> Outcome:
        """Run it."""
        return self.dispatch().run("web-1", "memory.drop_caches", plan, 20.0)


@pytest.fixture
def machine(host: Any) -> Kernel:
    """Return a kernel whose caches may be dropped."""
    return Kernel(host)


def test_the_plan_counts_what_is_clean_and_on_a_disk(machine: Kernel) -> None:
    plan = machine.plan()

    assert plan.items == ({"kind": "memory", "name": "page cache", "bytes": (300 + 20 - 70 - 50) * 1024},)
    assert machine.file.read_text() == ""


def test_a_run_drops_pages_of_files_alone_and_tells_before_and_after(machine: Kernel) -> None:
    outcome = machine.run(machine.plan())

    assert machine.file.read_text() == "1"
    assert outcome.ok
    assert outcome.detail["before"]["MemAvailable"] == 400 * 1024
    assert outcome.detail["available_gained_bytes"] == 0
    assert machine.host.points == ["effect_begun", "effect_done"]


def test_an_empty_cache_is_nothing_to_do(machine: Kernel) -> None:
    (machine.procfs / "meminfo").write_text(MEMINFO.replace("300 kB", "100 kB"))

    assert machine.plan().items == ()


def test_it_must_be_opted_in(machine: Kernel) -> None:
    machine.host.permit(memory=Memory())

    with pytest.raises(Refused, match=r"dropping caches is not permitted; write memory: \{drop_caches: true\}"):
        machine.plan()


def test_a_policy_taken_away_or_broken_stops_a_stored_plan(machine: Kernel) -> None:
    plan = machine.plan()
    for change in (
        {"memory": Memory()},
        {"memory": Memory(True), "problem": Problem("policy.yml", "", "is another's")},
    ):
        machine.host.permit(**change)

        with pytest.raises(Refused):
            machine.run(plan)
    assert machine.file.read_text() == ""
    assert machine.host.points == []


def test_a_kernel_that_does_not_let_us_is_a_refusal(machine: Kernel) -> None:
    machine.file.unlink()

    with pytest.raises(Refused, match="the kernel lets uid"):
        machine.plan()


def test_a_stored_plan_of_something_else_is_refused(machine: Kernel) -> None:
    with pytest.raises(Refused, match="the stored plan names no page cache"):
        machine.run(Plan(({"kind": "file", "path": "/etc/passwd"},)))
    assert machine.file.read_text() == ""
