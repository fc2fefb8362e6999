"""Approvals: one yes, for exactly one plan, while it is valid; and every way in which it may come too late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import until
from remediator import pause, people
from remediator.approvals import NotAnswered
from remediator.errors import Refused
from remediator.model import Context, Pause, Plan, Reason, State
from remediator.store import Tx
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert, playbook

STEP = "{action: test.act}"
ASKS = "mode: approve\nverify: none\n"
HALF_AN_HOUR = 1_800.0


@dataclass
class Steady(Act):
    """An action whose plan is what the test says it is."""

    things: list[str] = field(default_factory=lambda: ["a"])
    detail: dict[str, Any] = field(default_factory=dict)

    def plan(self, _arguments: Any, _context: Context) -> Plan:
        """Plan the same things as long as they are the same."""
        self.planned += 1
        self.while_planning()
        return Plan(tuple({"kind": "command", "service": "test", "verb": verb} for verb in self.things), self.detail)


@pytest.fixture
def act() -> Steady:
    return Steady()


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock, act: Steady) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, act)
    sources.firing = sources.listed = [alert()]
    made.start(playbook(STEP, ASKS))
    yield made
    made.stop()


def asked(bench: Bench, state: str | None = "open") -> list[dict[str, Any]]:
    """Return the requests in a state, the newest first."""
    assert bench.app is not None
    return list(bench.app.approvals(50, None, state)["items"])


def approve(bench: Bench, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """Say yes to the newest request, or to one."""
    assert bench.app is not None
    request = request or asked(bench)[0]
    found = bench.app.approve(int(request["id"]), request["plan_hash"], "kim")
    bench.rest()
    return found


def too_late(bench: Bench, request: dict[str, Any], what: str) -> None:
    """A yes to this request is refused and nothing comes of it."""
    assert bench.app is not None
    with pytest.raises(NotAnswered, match=what):
        bench.app.approve(int(request["id"]), request["plan_hash"], "kim")
    bench.rest()


def test_a_playbook_that_asks_first_waits_and_shows_its_plan(bench: Bench, act: Steady, clock: ManualClock) -> None:
    (request,) = asked(bench)

    assert bench.states() == [("held", "approval_needed")]
    assert act.ran == []
    assert request["plan"]["items"] == [{"kind": "command", "service": "test", "verb": "a"}]
    assert (request["target"], request["playbook"]) == ("h1/item:a", "heal")
    assert bench.detail()["until"] == request["expires_at"]
    bench.advance(HALF_AN_HOUR - 60)
    assert bench.states() == [("held", "approval_needed")]


def test_a_yes_lets_it_begin_at_once_and_is_kept_with_who_said_it(bench: Bench, act: Steady) -> None:
    approve(bench)

    assert bench.states() == [("succeeded", "proof_not_asked")]
    assert act.verbs() == ["a"]
    (request,) = asked(bench, "used")
    assert (request["who"], request["how"]) == ("kim", "api")
    told = [event for event in bench.detail()["events"] if event["kind"] == "approval"]
    assert [(event["to"], event["detail"].get("who")) for event in told] == [("open", None), ("granted", "kim")]
    answers = [each for each in bench.detail()["decisions"] if each["guard"] == "approval"]
    assert [each["answer"] for each in answers] == ["hold", "allow"]


@pytest.mark.parametrize("other", ["approve", "refuse"])
def test_of_two_answers_at_once_exactly_one_counts(bench: Bench, act: Steady, other: str) -> None:
    app = bench.app
    assert app is not None
    (request,) = asked(bench)
    number, plan = int(request["id"]), request["plan_hash"]
    ways: list[Callable[[], object]] = [lambda: app.approve(number, plan, "kim")] * 4
    if other == "approve":
        ways += [lambda: app.approve(number, plan, "lee")] * 4
    else:
        ways += [lambda: app.refuse(number, plan, "lee", "no")] * 4
    gate, counted, refused = threading.Barrier(len(ways)), list[object](), list[str]()

    def answer(say: Callable[[], object]) -> None:
        gate.wait(10)
        try:
            counted.append(say())
        except NotAnswered as error:
            refused.append(str(error))

    threads = [threading.Thread(target=answer, args=(say,)) for say in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    bench.rest()

    assert (len(counted), len(refused)) == (1, 7)
    state = asked(bench, None)[0]["state"]
    assert (state, len(act.ran)) in [("used", 1), ("refused", 0)]


def test_a_yes_to_another_plan_than_the_one_shown_counts_not(bench: Bench, act: Steady) -> None:
    (request,) = asked(bench)

    too_late(bench, request | {"plan_hash": "0" * 64}, "another plan")

    assert [each["state"] for each in asked(bench)] == ["open"]
    assert act.ran == []


def test_things_that_changed_before_it_began_need_another_yes(bench: Bench, act: Steady) -> None:
    act.things = ["a", "b"]
    approve(bench)

    first, second = asked(bench, None)[::-1]
    assert (first["state"], second["state"]) == ("void", "open")
    assert act.ran == []
    assert bench.states() == [("held", "approval_needed")]
    too_late(bench, first, "void already by kim")
    approve(bench)
    assert act.verbs() == ["a"]
    assert [item["verb"] for item in act.ran[0].items] == ["a", "b"]


def test_nobody_answers_and_it_is_skipped_and_asked_again_while_it_is_needed(bench: Bench, act: Steady) -> None:
    (request,) = asked(bench)
    bench.clock.advance(HALF_AN_HOUR)
    too_late(bench, request, "has expired")
    bench.advance(0)

    assert bench.remediations()[-1]["reason"] == "approval_expired"
    bench.advance(31)
    assert bench.states() == [("held", "approval_needed"), ("skipped", "approval_expired")]
    assert [each["state"] for each in asked(bench, None)] == ["open", "expired"]
    assert act.ran == []


def test_a_no_calls_it_off_for_good(bench: Bench, act: Steady) -> None:
    app = bench.app
    assert app is not None
    (request,) = asked(bench)
    found = app.refuse(int(request["id"]), request["plan_hash"], "kim", "the backup runs")
    bench.advance(31)

    assert (found["state"], found["why"]) == ("refused", "the backup runs")
    assert bench.states() == [("cancelled", "approval_refused")]
    too_late(bench, request, "refused already by kim")
    assert act.ran == []


def test_a_yes_after_the_alert_ended_counts_not(bench: Bench, sources: Sources, act: Steady) -> None:
    (request,) = asked(bench)
    sources.firing = sources.listed = []
    bench.deliver(alert(status="resolved"))

    assert bench.states() == [("cancelled", "resolved")]
    assert asked(bench, None)[0]["state"] == "void"
    too_late(bench, request, "void already")
    assert act.ran == []


def test_a_yes_after_somebody_called_it_off_counts_not(bench: Bench, act: Steady) -> None:
    assert bench.app is not None
    (request,) = asked(bench)
    people.cancel(bench.app.parts, int(request["remediation_id"]), "lee")
    bench.rest()

    too_late(bench, request, "void already")
    assert bench.states() == [("cancelled", "cancelled")]
    assert act.ran == []


def test_what_is_healthy_by_itself_when_the_yes_comes_is_left_alone(
    bench: Bench, sources: Sources, act: Steady
) -> None:
    sources.firing = []
    approve(bench)

    assert bench.states()[-1] == ("skipped", "self_resolved")
    assert asked(bench, None)[-1]["state"] == "void"
    assert act.ran == []


def test_what_the_policy_forbids_by_then_is_not_done(bench: Bench, act: Steady) -> None:
    def forbidden() -> None:
        raise Refused("the policy was changed")

    act.while_planning = forbidden
    approve(bench)

    assert bench.states() == [("skipped", "policy")]
    assert asked(bench, None)[0]["state"] == "void"
    assert act.ran == []


@pytest.mark.parametrize("mode", ["approve", "observe"])
def test_a_playbook_that_was_edited_since_is_asked_about_anew(bench: Bench, act: Steady, mode: str) -> None:
    assert bench.app is not None
    bench.write(playbook(STEP + ", " + STEP, ASKS.replace("approve", mode)))
    bench.app.reload()
    bench.rest()
    (old,) = asked(bench)
    approve(bench, old)
    bench.advance(31)

    assert bench.states()[-1] == ("skipped", "playbook_changed")
    assert act.ran == []
    if mode == "observe":
        assert bench.states()[0] == ("observed", "observe_mode")
        assert [each["state"] for each in asked(bench, None)] == ["void"]
    else:
        assert [each["state"] for each in asked(bench, None)] == ["open", "void"]
        assert len(asked(bench)[0]["steps"]) == 2


def test_all_guards_are_asked_again_and_a_yes_outlives_a_short_pause(bench: Bench, act: Steady) -> None:
    path = bench.folder / "state" / pause.NAME
    pause.write(path, Pause("lee", "a deployment", None))
    approve(bench)

    assert bench.states() == [("held", "paused")]
    assert act.ran == []
    pause.clear(path)
    bench.advance(6)
    assert act.verbs() == ["a"]


def test_a_yes_does_not_outlive_its_time(bench: Bench, act: Steady) -> None:
    pause.write(bench.folder / "state" / pause.NAME, Pause("lee", "a deployment", None))
    approve(bench)
    bench.advance(HALF_AN_HOUR + 1)

    assert ("skipped", "approval_expired") in bench.states()
    assert asked(bench, "granted") == []
    assert act.ran == []


def test_the_time_that_a_person_took_is_no_time_of_being_silenced(bench: Bench, sources: Sources, act: Steady) -> None:
    bench.advance(1_200)
    sources.silenced = [alert()]
    approve(bench)
    bench.advance(6)

    assert bench.states() == [("held", "silenced")]
    sources.silenced = []
    bench.advance(6)
    assert act.verbs() == ["a"]


def test_a_request_waits_through_a_restart(bench: Bench, act: Steady) -> None:
    bench.stop()
    bench.start(playbook(STEP, ASKS))

    assert bench.states() == [("held", "approval_needed")]
    approve(bench)
    assert act.verbs() == ["a"]


def test_what_was_approved_and_not_begun_in_time_begins_with_that_very_plan(bench: Bench, act: Steady) -> None:
    assert bench.app is not None
    (request,) = asked(bench)
    number = int(request["remediation_id"])
    plan = Plan(tuple(request["plan"]["items"]))
    act.things = ["another"]

    def as_after_a_long_wait(tx: Tx) -> None:
        now = bench.clock.now()
        tx.move(number, State.RUNNING, Reason.ALLOWED, now, due=now)
        tx.store_intent(number, 0, plan, now - 60)

    bench.app.store.write(as_after_a_long_wait)
    bench.rest()

    assert [step["state"] for step in bench.detail()["steps"]] == ["skipped", "done"]
    assert act.verbs() == ["a"]


def test_settling_what_is_unknown_needs_no_second_yes(bench: Bench, act: Steady) -> None:
    assert bench.app is not None

    def dies() -> None:
        act.while_running = lambda: None
        raise RuntimeError

    act.while_running = dies
    approve(bench)
    assert bench.states()[0][0] == "unknown"
    bench.app.settle(int(bench.remediations()[0]["id"]), "not-done", "kim")
    bench.rest()

    assert bench.states() == [("succeeded", "proof_not_asked")]
    assert act.verbs() == ["a", "a"]


@pytest.mark.parametrize("granted", [False, True])
def test_a_clock_that_was_set_back_makes_no_yes_valid_longer(
    bench: Bench, act: Steady, clock: ManualClock, granted: bool
) -> None:
    assert bench.app is not None
    (request,) = asked(bench)
    path = bench.folder / "state" / pause.NAME
    if granted:
        pause.write(path, Pause("kim", "a test", None))
        approve(bench)
    clock.jump(-86_400.0)
    bench.app.engine.wake()
    until(lambda: bench.app.engine.clock_jumped_at is not None)  # type: ignore[union-attr]
    if not granted:
        too_late(bench, request, "has expired")
    bench.advance(HALF_AN_HOUR + 60)
    if granted:
        pause.clear(path)
        bench.advance(10)

    assert ("skipped", "approval_expired") in bench.states()
    assert act.ran == []
