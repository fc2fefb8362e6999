"""process.terminate on real workers: who is chosen, that only they end, and that a redo harms nobody."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import _processes
from remediator.errors import ActionFailed, Refused
from remediator.model import Plan
from selfheal.common.problems import ConfigError
from selfheal.common.processes import boot_id, read_process

Wait = Callable[[Callable[[], bool]], None]

BIG = "import signal; held = bytearray(80_000_000); print('up', flush=True)\nwhile True: signal.pause()"
BUSY = "print('up', flush=True)\nwhile True: pass"
DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)


def pids(plan: Plan) -> list[int]:
    """Return the pids of a plan."""
    return [item["pid"] for item in plan.items]


def test_the_plan_lists_the_members_as_they_are_with_their_identity(host: Any) -> None:
    one, two = host.start()[0], host.start()[0]
    host.start(group="b")

    plan = host.plan("process.terminate", group="worker-a", grace="3s")

    assert sorted(pids(plan)) == sorted([one.pid, two.pid])
    for item in plan.items:
        process = read_process(host.policy.procfs, item["pid"])
        assert process is not None
        del item["resident_bytes"]
        assert item == {
            "kind": "process",
            "pid": process.pid,
            "start_ticks": process.start_ticks,
            "group": "worker-a",
            "uid": os.geteuid(),
            "boot_id": boot_id(host.policy.procfs),
        }
    assert plan.detail == {"group": "worker-a", "grace": 3.0}
    assert one.poll() is None


def test_only_the_planned_processes_end(host: Any) -> None:
    one, bystander = host.start()[0], host.start(group="b")[0]
    plan = host.plan("process.terminate", group="worker-a")
    later = host.start()[0]

    outcome = host.run("process.terminate", plan)

    assert outcome.ok
    assert [effect["pid"] for effect in outcome.effects] == [one.pid]
    assert outcome.effects[0]["signals"] == ["SIGTERM"]
    assert outcome.effects[0]["group"] == "worker-a"
    assert one.wait(10) == 7
    assert bystander.poll() is None
    assert later.poll() is None
    assert host.points == ["effect_begun", "effect_done"]


def test_over_rss_takes_the_large_ones_the_largest_first(host: Any) -> None:
    host.start()
    large, larger = host.start(BIG)[0], host.start(BIG.replace("80_", "120_"))[0]

    plan = host.plan("process.terminate", group="worker-a", over_rss="60MiB")

    assert pids(plan) == [larger.pid, large.pid]
    assert plan.items[0]["resident_bytes"] > 120_000_000


def test_over_cpu_takes_the_busy_ones(host: Any) -> None:
    host.start()
    busy = host.start(BUSY)[0]

    # on a machine that is taken up it may get no time at all between two readings
    plans = (host.plan("process.terminate", group="worker-a", over_cpu=0.001) for _ in range(30))
    plan = next(plan for plan in plans if plan.items)

    assert pids(plan) == [busy.pid]
    assert plan.items[0]["cpu_cores"] > 0


def test_under_cpu_leaves_alone_the_large_ones_that_work(host: Any) -> None:
    idle = host.start(BIG)[0]
    busy = host.start(BIG.replace("while True: signal.pause()", "while True: pass"))[0]

    # on a machine that is taken up the busy one may get no time at all between two readings
    arguments = {"group": "worker-a", "over_rss": "60MiB", "under_cpu": 0.001}
    plans = (host.plan("process.terminate", **arguments) for _ in range(30))
    plan = next(plan for plan in plans if len(plan.items) < 2)

    assert pids(plan) == [idle.pid]
    assert plan.items[0]["cpu_cores"] == 0
    assert busy.poll() is None


def test_a_large_one_that_waits_for_the_disk_or_for_its_memory_is_not_idle(host: Any, wait_until: Wait) -> None:
    """On a host that swaps whoever works gets hardly any time of the CPU."""
    gate = host.folder / "gate"
    os.mkfifo(gate)
    # until its child has begun, and that waits for the gate, the kernel lets nothing interrupt the parent
    begin = f"os.posix_spawn('/bin/true', ['true'], {{}}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, {str(gate)!r}, 0, 0)])"
    worker = host.start(f"import os\n{BIG}".replace("while True:", f"{begin}\nwhile True:"))[0]
    arguments = {"group": "worker-a", "over_rss": "60MiB", "under_cpu": 0.5}
    try:
        wait_until(lambda: read_process(Path("/proc"), worker.pid).state == "D")

        plan = host.plan("process.terminate", **arguments)

        assert worker.pid not in pids(plan)
    finally:
        os.close(os.open(gate, os.O_RDWR))
    wait_until(lambda: read_process(Path("/proc"), worker.pid).state == "S")
    assert worker.pid in pids(host.plan("process.terminate", **arguments))


def test_most_ends_only_so_many_the_worst_first(host: Any) -> None:
    large, larger = host.start(BIG)[0], host.start(BIG.replace("80_", "120_"))[0]

    plan = host.plan("process.terminate", group="worker-a", over_rss="60MiB", most=1)
    outcome = host.run("process.terminate", plan)

    assert pids(plan) == [larger.pid]
    assert plan.detail["beyond_most"] == 1
    assert outcome.ok
    assert larger.wait(10) is not None
    assert large.poll() is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"under_cpu": 0.1}, "add over_rss"),
        ({"over_rss": "1MiB", "most": 0}, "most is no whole number"),
        ({"over_rss": "1MiB", "most": 1.5}, "most is no whole number"),
    ],
)
def test_what_does_not_belong_together_is_not_accepted(host: Any, arguments: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        host.plan("process.terminate", group="worker-a", **arguments)


@pytest.mark.parametrize("limit", [{"over_rss": "10TiB"}, {"over_cpu": 900}])
def test_nobody_above_the_limit_is_an_empty_plan_never_all(host: Any, limit: dict[str, object]) -> None:
    child = host.start()[0]

    plan = host.plan("process.terminate", group="worker-a", **limit)

    assert plan.items == ()
    assert host.run("process.terminate", plan).effects == ()
    assert child.poll() is None


@pytest.mark.parametrize("limit", [{}, {"over_rss": 1}, {"over_cpu": 0}])
@pytest.mark.parametrize("group", ["worker-a", "worker-unheard-of"])
def test_a_group_without_members_is_an_empty_plan(host: Any, group: str, limit: dict[str, object]) -> None:
    host.start(group="b")

    assert host.plan("process.terminate", group=group, **limit).items == ()


def test_a_group_that_the_policy_does_not_list_is_refused(host: Any) -> None:
    host.start()
    host.permit(process_groups=("worker-b",))

    with pytest.raises(Refused, match="process group 'worker-a' is not permitted"):
        host.plan("process.terminate", group="worker-a")


def test_a_group_of_which_nobody_may_be_signalled_is_refused_and_not_empty(host: Any) -> None:
    child = host.start()[0]
    (host.folder / "ids.json").write_text(json.dumps({"boot_id": boot_id(host.policy.procfs), "processes": []}))
    (host.folder / "ids.json").chmod(0o600)
    host.permit(identities=host.folder / "ids.json")

    with pytest.raises(
        Refused, match=f"none of 1 processes may be signalled; the first: pid {child.pid} with start time"
    ):
        host.plan("process.terminate", group="worker-a")


def test_of_a_group_only_the_recorded_are_listed_and_the_others_told(host: Any) -> None:
    recorded, other = host.start()[0], host.start()[0]
    ticks = read_process(host.policy.procfs, recorded.pid).start_ticks
    document = {"boot_id": boot_id(host.policy.procfs), "processes": [{"pid": recorded.pid, "start_ticks": ticks}]}
    (host.folder / "ids.json").write_text(json.dumps(document))
    (host.folder / "ids.json").chmod(0o600)
    host.permit(identities=host.folder / "ids.json")

    plan = host.plan("process.terminate", group="worker-a")

    assert pids(plan) == [recorded.pid]
    assert plan.detail["refused_count"] == 1
    assert plan.detail["refused"][0]["pid"] == other.pid


def test_the_remediator_is_never_in_a_plan_though_its_group_is_permitted(host: Any) -> None:
    child = host.start()[0]
    names = [{"name": "worker-all", "cmdline": ["."]}]
    (host.folder / "processes.yml").write_text(json.dumps({"process_names": names}))
    document = {
        "boot_id": boot_id(host.policy.procfs),
        "processes": [
            {"pid": pid, "start_ticks": read_process(host.policy.procfs, pid).start_ticks}
            for pid in (child.pid, os.getpid(), os.getppid(), 1)
        ],
    }
    (host.folder / "ids.json").write_text(json.dumps(document))
    (host.folder / "ids.json").chmod(0o600)
    host.permit(identities=host.folder / "ids.json")

    plan = host.plan("process.terminate", group="worker-all")

    assert pids(plan) == [child.pid]


def test_a_worker_that_ignores_the_request_is_killed_after_the_grace(host: Any) -> None:
    child = host.start(DEAF)[0]

    outcome = host.run("process.terminate", host.plan("process.terminate", group="worker-a", grace="200ms"))

    assert outcome.ok
    assert outcome.effects[0]["signals"] == ["SIGTERM", "SIGKILL"]
    assert child.wait(10) == -signal.SIGKILL


def test_a_stopped_worker_is_ended_too(host: Any, wait_until: Wait) -> None:
    child = host.start()[0]
    os.kill(child.pid, signal.SIGSTOP)
    wait_until(lambda: read_process(host.policy.procfs, child.pid).state == "T")

    outcome = host.run("process.terminate", host.plan("process.terminate", group="worker-a"))

    assert outcome.ok
    assert child.wait(10) == 7


def test_a_redo_after_the_processes_are_gone_does_nothing(host: Any) -> None:
    child = host.start()[0]
    plan = host.plan("process.terminate", group="worker-a")
    host.run("process.terminate", plan)
    child.wait(10)
    restarted = host.start()[0]

    outcome = host.run("process.terminate", plan)

    assert outcome.ok
    assert outcome.effects == ()
    assert restarted.poll() is None


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "another"}], ids=["pid reused", "rebooted"])
def test_a_redo_after_the_pid_is_anothers_does_nothing(host: Any, change: dict[str, object]) -> None:
    child = host.start()[0]
    plan = host.plan("process.terminate", group="worker-a")
    stored = replace(plan, items=tuple({**item, **change} for item in plan.items))

    outcome = host.run("process.terminate", stored)

    assert outcome.ok
    assert outcome.effects == ()
    assert child.poll() is None


def test_a_worker_that_became_something_else_since_the_plan_is_refused(host: Any) -> None:
    code = (
        "import os, sys; print('up', flush=True); sys.stdin.readline()\n"
        "os.execv(sys.executable, [sys.executable, '-c', 'print(1, flush=True); import sys; sys.stdin.read()'])"
    )
    child = host.start(code)[0]
    plan = host.plan("process.terminate", group="worker-a")
    child.stdin.write("now\n")
    child.stdin.flush()
    assert child.stdout.readline().strip() == "1"

    with pytest.raises(Refused, match="none of the planned processes may be signalled any more"):
        host.run("process.terminate", plan)

    assert child.poll() is None
    assert host.points == []


def test_a_policy_that_changed_since_the_plan_is_obeyed(host: Any) -> None:
    child = host.start()[0]
    plan = host.plan("process.terminate", group="worker-a")
    host.permit(process_groups=())

    with pytest.raises(Refused, match="'worker-a' is not permitted"):
        host.run("process.terminate", plan)

    assert child.poll() is None


def test_a_plan_is_bounded_and_says_what_it_leaves_out(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_processes, "MOST_PROCESSES", 2)
    for _ in range(3):
        host.start()

    plan = host.plan("process.terminate", group="worker-a")

    assert len(plan.items) == 2
    assert plan.detail["beyond_limit"] == 1


def test_a_proc_that_cannot_be_read_is_a_known_failure(host: Any) -> None:
    dispatch = host.dispatch()
    dispatch._procfs = host.folder / "nothing"

    with pytest.raises(ActionFailed, match=r"process\.terminate could not be planned on web-1"):
        dispatch.plan("web-1", "process.terminate", {"group": "worker-a"}, 5.0)
