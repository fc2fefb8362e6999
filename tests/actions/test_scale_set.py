"""scale.set with instances of a really booted systemd: which start, which stop, and within what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.actions import ACTIONS, problems, scale_set
from remediator.errors import OutcomeUnknown, Refused
from remediator.model import Outcome, Plan
from remediator.policy import Policy
from remediator.policy.scale import Scale
from tests.actions.systemd_world import SLEEP, UNITS, UnitHost, service, unit_host
from tests.stack.support import wait_until

WORKER, CRASHING, SLOW = "worker@.service", "crashing@.service", "slow@.service"


@pytest.fixture(scope="module")
def booted_host() -> Iterator[UnitHost]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(UNITS, CRASHING, service(SLEEP, "Restart=always", "RestartSec=0"))
        patch.setitem(UNITS, SLOW, service(SLEEP, "Type=notify", "TimeoutStartSec=infinity"))
        with unit_host() as host:
            yield host


@pytest.fixture
def host(booted_host: UnitHost) -> Iterator[UnitHost]:
    before: Policy = booted_host.policy
    booted_host.world.systemctl("stop", "worker@*.service", "fragile@*.service", "flaky@*.service")
    booted_host.world.systemctl("stop", "crashing@*.service", "slow@*.service")
    booted_host.world.systemctl("reset-failed")
    # an earlier test's hurried clock is not ours, nor is what it did by it
    booted_host.clock.ahead = 0.0
    scale_set._CHANGES = scale_set._Changes()
    yield booted_host
    booted_host.policy = before


def running(host: UnitHost, template: str = "worker") -> list[str]:
    """Return the instances that systemd itself says are active."""
    listed = host.world.systemctl("list-units", "--plain", "--no-legend", "--state=active", f"{template}@*.service")
    return sorted(line.split()[0].partition("@")[2].removesuffix(".service") for line in listed.splitlines())


def changes(plan: Plan) -> list[tuple[str, str]]:
    return [(item["verb"], item["unit"]) for item in plan.items]


def test_the_lowest_free_numbers_start(host: UnitHost) -> None:
    host.start("worker@2.service")

    plan = host.plan("scale.set", template=WORKER, to=3)
    outcome = host.run("scale.set", plan)

    assert changes(plan) == [("start", "worker@1.service"), ("start", "worker@3.service")]
    assert plan.detail == {"template": WORKER, "count": 1, "to": 3, "running": [2]}
    assert outcome.ok
    assert outcome.detail["count"] == 3
    assert running(host) == ["1", "2", "3"]
    assert host.points == ["effect_begun", "effect_done"]


def test_the_highest_numbers_stop_and_others_by_name_are_left_alone(host: UnitHost) -> None:
    host.start("worker@1.service", "worker@2.service", "worker@4.service", "worker@blue.service", "worker@07.service")

    plan = host.plan("scale.set", template=WORKER, by=-2)
    outcome = host.run("scale.set", plan)

    assert changes(plan) == [("stop", "worker@4.service"), ("stop", "worker@2.service")]
    assert outcome.ok
    assert running(host) == ["07", "1", "blue"]


def test_it_is_taken_back_to_the_previous_count(host: UnitHost) -> None:
    host.start("worker@1.service", "worker@3.service", "worker@4.service")
    plan = host.plan("scale.set", template=WORKER, by=-2)
    outcome = host.run("scale.set", plan)
    between = running(host)

    undone = host.undo("scale.set", plan, outcome)

    assert between == ["1"]
    assert undone.ok
    assert running(host) == ["1", "3", "4"]


def test_one_run_goes_no_further_than_the_step(host: UnitHost) -> None:
    host.start("worker@1.service")

    plan = host.plan("scale.set", template=WORKER, to=4)

    assert plan.detail["to"] == 3
    assert len(plan.items) == 2


@pytest.mark.parametrize("count", [0, 5, 1000])
def test_a_count_beyond_the_policys_is_refused(host: UnitHost, count: int) -> None:
    with pytest.raises(
        Refused, match=rf"{count} instances of worker@\.service are not permitted; the policy says 1 to 4"
    ):
        host.plan("scale.set", template=WORKER, to=count)


def test_a_difference_ends_at_the_policys_bounds(host: UnitHost) -> None:
    host.start("worker@1.service")

    plan = host.plan("scale.set", template=WORKER, by=-1)

    assert plan.items == ()
    assert plan.detail["why"] == "1 instances run, as many as are wanted and permitted"


def test_beyond_the_bounds_more_never_means_fewer(host: UnitHost) -> None:
    host.start("worker@1.service", "worker@2.service", "worker@3.service")
    host.permit(scale=(Scale(WORKER, 1, 2, 2),))

    plan = host.plan("scale.set", template=WORKER, by=1)

    assert plan.items == ()
    assert changes(host.plan("scale.set", template=WORKER, by=-1)) == [("stop", "worker@3.service")]


def test_the_undo_does_not_end_what_others_left_alone_running(host: UnitHost) -> None:
    host.start("worker@1.service")
    plan = host.plan("scale.set", template=WORKER, by=2)
    outcome = host.run("scale.set", plan)
    host.world.systemctl("stop", "worker@1.service")

    with pytest.raises(Refused, match=r"0 instances of worker@\.service are not permitted any more"):
        host.undo("scale.set", plan, outcome)

    assert running(host) == ["2", "3"]


def test_the_undo_ends_nobody_else(host: UnitHost) -> None:
    host.start("worker@1.service", "plain.service")
    plan = host.plan("scale.set", template=WORKER, by=1)
    outcome = host.run("scale.set", plan)
    folder = "/run/systemd/system/worker@.service.d"
    host.sh(f"mkdir {folder}; printf '[Unit]\\nPropagatesStopTo=plain.service\\n' > {folder}/x.conf")
    host.world.systemctl("daemon-reload")
    host.permit(units=())

    with pytest.raises(Refused, match=r"systemd does stop to 'plain\.service': .* is not permitted"):
        host.undo("scale.set", plan, outcome)

    host.sh(f"rm -r {folder}")
    host.world.systemctl("daemon-reload")
    assert running(host) == ["1", "2"]
    assert host.state("plain.service") == "active"


def test_what_came_to_be_dragged_along_since_the_plan_is_refused(host: UnitHost) -> None:
    host.start("worker@1.service", "worker@2.service", "plain.service")
    plan = host.plan("scale.set", template=WORKER, by=-1)
    folder = "/run/systemd/system/worker@.service.d"
    host.sh(f"mkdir {folder}; printf '[Unit]\\nPropagatesStopTo=plain.service\\n' > {folder}/x.conf")
    host.world.systemctl("daemon-reload")

    with pytest.raises(Refused, match="other units would be dragged along than when this was planned"):
        host.run("scale.set", plan)

    host.sh(f"rm -r {folder}")
    host.world.systemctl("daemon-reload")
    assert running(host) == ["1", "2"]
    assert host.state("plain.service") == "active"


def test_an_instance_that_systemd_goes_on_starting_is_taken_back(host: UnitHost) -> None:
    plan = host.plan("scale.set", template="flaky@.service", to=1)
    outcome = host.run("scale.set", plan)
    between = host.state("flaky@1.service")

    undone = host.undo("scale.set", plan, outcome)

    assert not outcome.ok
    assert outcome.effects == plan.items
    assert between == "activating"
    assert undone.ok
    assert host.state("flaky@1.service") in ("inactive", "failed")


def test_the_cooldown_counts_from_the_last_start(host: UnitHost) -> None:
    host.permit(scale=(Scale(WORKER, 1, 4, 2, cooldown=1_000.0),))
    host.clock.ahead += 1_001.0
    host.start("worker@1.service")
    started = host.clock.ahead

    # systemd's clock was not put forward, so to it the start is 1,001 s old already
    plan = host.plan("scale.set", template=WORKER, by=1)
    host.clock.ahead = 0.0
    early = host.plan("scale.set", template=WORKER, by=1)
    host.clock.ahead = started

    assert len(plan.items) == 1
    assert early.items == ()
    assert "the policy wants 1000 s in between" in early.detail["why"]


def test_the_cooldown_counts_from_the_last_stop_which_systemd_forgets(host: UnitHost) -> None:
    host.permit(scale=(Scale(WORKER, 0, 4, 2, cooldown=1_000.0),))
    host.start("worker@1.service")
    host.clock.ahead += 2_000.0
    stopped = host.do("scale.set", template=WORKER, by=-1)

    early = host.plan("scale.set", template=WORKER, by=1)
    host.clock.ahead += 1_001.0
    later = host.plan("scale.set", template=WORKER, by=1)

    assert stopped.ok
    assert early.items == ()
    assert changes(later) == [("start", "worker@1.service")]


def test_a_restart_by_systemd_ends_no_cooldown(host: UnitHost) -> None:
    host.permit(scale=(Scale(CRASHING, 0, 4, 2, cooldown=1_000.0),))
    host.start("crashing@1.service")
    host.world.systemctl("kill", "--signal=KILL", "crashing@1.service")
    wait_until(lambda: host.show("crashing@1.service", "NRestarts") == "1" and running(host, "crashing") == ["1"])

    early = host.plan("scale.set", template=CRASHING, by=1)
    host.clock.ahead += 1_001.0
    later = host.plan("scale.set", template=CRASHING, by=1)

    assert early.items == ()
    assert "the policy wants 1000 s in between" in early.detail["why"]
    assert changes(later) == [("start", "crashing@2.service")]


def test_an_instance_that_somebody_is_still_starting_counts(host: UnitHost) -> None:
    host.permit(scale=(Scale(SLOW, 0, 4, 2, cooldown=1_000.0),))
    host.world.systemctl("start", "--no-block", "slow@1.service")
    wait_until(lambda: host.state("slow@1.service") == "activating")

    plan = host.plan("scale.set", template=SLOW, by=1)

    assert plan.items == ()
    assert "the policy wants 1000 s in between" in plan.detail["why"]


def test_the_cooldown_counts_from_our_start_of_what_systemd_has_forgotten(host: UnitHost) -> None:
    host.permit(scale=(Scale(WORKER, 0, 4, 2, cooldown=1_000.0),))
    host.clock.ahead += 2_000.0
    started = host.do("scale.set", template=WORKER, by=1)
    host.world.systemctl("stop", "worker@1.service")

    early = host.plan("scale.set", template=WORKER, by=1)
    host.clock.ahead += 1_001.0
    later = host.plan("scale.set", template=WORKER, by=1)

    assert started.ok
    assert early.items == ()
    assert changes(later) == [("start", "worker@1.service")]


def test_other_instances_than_planned_are_refused(host: UnitHost) -> None:
    host.start("worker@1.service")
    plan = host.plan("scale.set", template=WORKER, by=1)
    host.start("worker@4.service")

    with pytest.raises(Refused, match=r"other instances run than when this was planned: worker@4\.service"):
        host.run("scale.set", plan)

    assert running(host) == ["1", "4"]


def test_begun_again_after_a_crash_it_ends_at_the_planned_count(host: UnitHost) -> None:
    host.start("worker@1.service")
    plan = host.plan("scale.set", template=WORKER, by=2)
    host.world.systemctl("start", "worker@2.service")

    outcome = host.run("scale.set", plan)

    assert outcome.ok
    assert running(host) == ["1", "2", "3"]


def test_an_instance_that_does_not_start_is_a_known_failure_with_what_was_done(host: UnitHost) -> None:
    outcome = host.do("scale.set", template="fragile@.service", to=3)

    assert not outcome.ok
    assert [effect["unit"] for effect in outcome.effects] == ["fragile@1.service", "fragile@2.service"] or (
        # what fails at once may be told by the count alone
        outcome.detail["count"] == 2
    )
    assert running(host, "fragile") == ["1", "2"]


def test_out_of_time_its_outcome_is_unknown_and_the_undo_takes_all_of_it_back(host: UnitHost) -> None:
    host.start("worker@1.service")
    plan = host.plan("scale.set", template=WORKER, by=2)
    begun = host.folder / "begun"
    slow = host.wrapper("slow", f'case "$*" in *"--no-pager start"*worker@3*) touch {begun}; exec sleep 1000;; esac')
    host.permit(programs=replace(host.policy.programs, systemctl=str(slow)))

    with (
        host.out_of_time_once(begun.exists),
        pytest.raises(OutcomeUnknown, match=r"start of unit 'worker@3\.service' was left alone"),
    ):
        host.run("scale.set", plan)
    undone = host.undo("scale.set", plan, Outcome(False, (), {"in_doubt": True}))

    assert undone.ok
    assert running(host) == ["1"]


def test_a_template_that_the_policy_does_not_list_is_refused(host: UnitHost) -> None:
    for template in ("web@.service", "worker@1.service", "worker@*.service", "worker.service", "*", "worker@.service "):
        with pytest.raises(Refused, match="is not permitted; list it under scale"):
            host.plan("scale.set", template=template, to=1)


def test_a_plan_is_refused_once_the_policy_permits_less(host: UnitHost) -> None:
    host.start("worker@1.service")
    plan = host.plan("scale.set", template=WORKER, by=2)
    host.permit(scale=(Scale(WORKER, 1, 2, 2),))
    with pytest.raises(Refused, match=r"3 instances of worker@\.service are not permitted any more"):
        host.run("scale.set", plan)
    host.permit(scale=(Scale(WORKER, 1, 4, 1),))
    with pytest.raises(Refused, match=r"2 instances of worker@\.service at once are not permitted any more"):
        host.run("scale.set", plan)
    host.permit(scale=())
    with pytest.raises(Refused, match="is not permitted; list it under scale"):
        host.run("scale.set", plan)

    assert running(host) == ["1"]


@pytest.mark.parametrize(
    "item",
    [
        {"kind": "unit", "unit": "web.service", "verb": "stop"},
        {"kind": "unit", "unit": "worker@blue.service", "verb": "stop"},
        {"kind": "unit", "unit": "worker@1.service", "verb": "restart"},
        {"kind": "unit", "unit": "worker@01.service", "verb": "start"},
    ],
    ids=["another unit", "no number", "another verb", "another spelling"],
)
def test_a_forged_plan_touches_nothing(host: UnitHost, item: dict[str, str]) -> None:
    host.start("web.service", "worker@1.service")
    detail = {"template": WORKER, "running": [1], "count": 1, "to": 2}

    with pytest.raises(Refused, match="the stored plan names no instance that could be started or stopped"):
        host.run("scale.set", Plan((item,), detail))

    assert host.state("web.service") == "active"
    assert running(host) == ["1"]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({}, "says not how many"),
        ({"to": 1, "by": 1}, "says not how many"),
        ({"to": -1}, "to is below 0"),
        ({"by": 0}, "by is 0, which changes nothing"),
        ({"to": 0}, None),
        ({"by": -1}, None),
    ],
)
def test_how_many_is_said_in_one_way(given: dict[str, object], what: str | None) -> None:
    found = [fault.what for fault in problems(ACTIONS["scale.set"], {"template": WORKER, **given})]

    assert found == ([] if what is None else [what])


@given(
    running=st.sets(st.integers(1, 12), max_size=12),
    bounds=st.tuples(st.integers(0, 12), st.integers(1, 12)).filter(lambda pair: pair[0] <= pair[1]),
    step=st.integers(1, 5),
    by=st.integers(-20, 20).filter(bool),
)
def test_a_choice_is_never_more_than_a_step_nor_further_out_of_bounds(
    running: set[int], bounds: tuple[int, int], step: int, by: int
) -> None:
    scale = Scale(WORKER, *bounds, step=step)
    arguments = {"to": None, "by": by}

    count = scale_set._wanted(scale, arguments, len(running), None)  # type: ignore[arg-type]
    verb, numbers = scale_set._choose(scale, sorted(running), count)

    def outside(number: int) -> int:
        return max(scale.min - number, number - scale.max, 0)

    assert len(numbers) <= step
    assert outside(count) <= outside(len(running))
    assert count == len(running) or (count > len(running)) == (by > 0)
    assert (set(numbers) <= running) == (verb == "stop" or not numbers)
    assert all(1 <= number <= scale.max for number in numbers if verb == "start")


@pytest.mark.parametrize(
    ("running", "stopped", "permitted"),
    [
        (6, 1, True),
        (6, 2, True),
        (6, 4, True),
        (6, 5, False),
        (6, 6, False),
        (3, 2, False),
        (1, 0, True),
        (1, 1, False),
    ],
)
def test_from_beyond_the_bounds_nothing_goes_across(running: int, stopped: int, permitted: bool) -> None:
    numbers = set(range(1, running + 1))
    changing = dict.fromkeys(range(1, stopped + 1), "stop")
    context = SimpleNamespace(policy=Policy())

    if permitted:
        scale_set._refuse_beyond(Scale(WORKER, 2, 4), numbers, changing, context)  # type: ignore[arg-type]
        return
    with pytest.raises(Refused):
        scale_set._refuse_beyond(Scale(WORKER, 2, 4), numbers, changing, context)  # type: ignore[arg-type]
