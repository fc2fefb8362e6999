"""The ladder: when a playbook's attempts are used up the next one is tried for the same occurrence, and last people."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import until
from remediator.errors import ActionFailed, Refused
from remediator.ladder import rungs, to_be_climbed, used_up
from remediator.model import Limits, Mode, Plan, Playbook, Reason, State, Trigger, Try
from remediator.people import NotCancellable
from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources, alert

RECONCILED = 31.0
"""Seconds after which an open occurrence has been looked at again."""


def book(name: str, action: str, rest: str = "", trigger: str = "{alert: Other}", attempts: int = 1) -> str:
    return (
        f"playbook: {name}\ntrigger: {trigger}\nmode: auto\n"
        'target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}\n'
        f"limits: {{cooldown: 0s, rate: [1000/1h], attempts: {attempts}}}\n"
        f"steps: [{{action: {action}}}]\nverify: none\n{rest}"
    )


def first(otherwise: str, attempts: int = 1) -> str:
    return book("first", "test.one", f"otherwise: [{otherwise}]\n", "{alert: Sick}", attempts)


SECOND = book("second", "test.two")


@pytest.fixture
def sources(sources: Sources) -> Sources:
    sources.firing = sources.listed = [alert()]
    return sources


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock) -> Iterator[Bench]:
    made = Bench(tmp_path, sources, clock, *(Act(f"test.{name}") for name in ("one", "two", "three")))
    for act in made.actions.values():
        act.while_running = fail
    yield made
    made.stop()


def fail() -> None:
    raise ActionFailed("it did not help")


def tried(bench: Bench) -> list[tuple[str, str]]:
    """The playbooks and how they ended, the oldest first."""
    return [(each["playbook"], each["state"]) for each in reversed(bench.remediations())]


def fate(bench: Bench) -> tuple[str, str]:
    found = bench.alerts()[0]
    return found["fate"], found["reason"]


def climb(bench: Bench, turns: int = 6) -> None:
    for _ in range(turns):
        bench.advance(RECONCILED)


def test_the_next_playbook_is_tried_when_the_attempts_are_used_and_last_people_are_told(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.start(first("second, page_owner", attempts=2), SECOND)
    with caplog.at_level(logging.ERROR, "remediator.notifiers.log"):
        bench.deliver(alert())
        climb(bench)
        until(lambda: caplog.records, 10)

    assert tried(bench) == [("first", "failed"), ("first", "failed"), ("second", "failed")]
    assert fate(bench) == ("handed_over", "attempts_used")
    told = [record for record in caplog.records if record.message == "alert handed over to people"]
    assert len(told) == 1
    assert vars(told[0])["detail"] == {"level": "error", "tried": ["first", "second"]}


def test_a_handed_over_occurrence_is_final_until_it_closes_and_the_next_one_begins_at_the_first_rung(
    bench: Bench, clock: ManualClock
) -> None:
    app = bench.start(first("second, page_owner"), SECOND)
    bench.deliver(alert())
    climb(bench)
    assert fate(bench)[0] == "handed_over"

    app.reload()
    app.store.write(lambda tx: tx.reconsider(1, clock.now()))
    bench.deliver(alert())
    climb(bench)
    assert len(tried(bench)) == 2
    with app.store.read() as reader:
        told = [event for event in reader.events_after(0, 1_000) if event.new == "handed_over"]
    assert len(told) == 1

    bench.deliver(alert(status="resolved"), alert(starts_at=clock.now() - 1))
    assert tried(bench)[-1] == ("first", "failed")


def test_a_playbook_without_a_ladder_ends_with_people_too(bench: Bench) -> None:
    bench.start(book("only", "test.one", trigger="{alert: Sick}"))
    bench.deliver(alert())
    climb(bench, 2)

    assert tried(bench) == [("only", "failed")]
    assert fate(bench) == ("handed_over", "attempts_used")


def test_each_rung_has_guards_of_its_own(bench: Bench) -> None:
    bench.actions["test.two"].while_planning = refuse
    bench.start(first("second, third, page_owner"), SECOND, book("third", "test.three"))
    bench.deliver(alert())
    climb(bench)

    # what the policy refuses cannot be what helps, so the next rung is tried at once
    assert tried(bench) == [("first", "failed"), ("second", "skipped"), ("third", "failed")]
    assert fate(bench)[0] == "handed_over"


def test_a_playbook_that_found_something_to_do_only_once_is_no_reason_to_tell_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench.actions["test.one"]

    def fail_for_good() -> None:
        monkeypatch.setattr(one, "plan", lambda *_: Plan(()))
        fail()

    one.while_running = fail_for_good
    bench.start(first("second, page_owner", attempts=3), SECOND)
    bench.deliver(alert())
    climb(bench)

    assert tried(bench) == [("first", "failed"), ("first", "skipped"), ("first", "skipped"), ("second", "failed")]
    assert fate(bench)[0] == "handed_over"


def refuse() -> None:
    raise Refused("not on this host")


def test_a_rung_that_only_observes_is_no_reason_to_tell_nobody(bench: Bench) -> None:
    bench.start(first("second, page_owner"), SECOND.replace("mode: auto", "mode: observe"))
    bench.deliver(alert())
    climb(bench)

    assert tried(bench) == [("first", "failed"), ("second", "observed")]
    assert fate(bench)[0] == "handed_over"


def test_a_rung_that_cannot_be_filled_in_is_passed_over(bench: Bench) -> None:
    bench.start(
        first("second, third, page_owner"), SECOND.replace("labels.item", "labels.none"), book("third", "test.three")
    )
    bench.deliver(alert())
    climb(bench)

    assert tried(bench) == [("first", "failed"), ("third", "failed")]


def test_what_is_refused_before_anything_began_climbs_nowhere(bench: Bench) -> None:
    bench.actions["test.one"].while_planning = refuse
    bench.start(first("second, page_owner"), SECOND)
    bench.deliver(alert())
    climb(bench)

    assert tried(bench) == [("first", "skipped")]
    assert fate(bench) == ("skipped", "policy")


# A person calls it off.


def test_what_a_person_called_off_is_not_tried_again_by_anybody(bench: Bench) -> None:
    bench.actions["test.one"].while_running = lambda: call_off(bench)
    bench.start(book("first", "test.one}, {action: test.two", "otherwise: [third]\n", "{alert: Sick}", 3))
    bench.deliver(alert(), rest=False)
    until(lambda: bench.remediations() and bench.remediations()[0]["state"] == "succeeded")
    climb(bench, 2)

    assert [(step["position"], step["state"]) for step in bench.detail()["steps"]] == [(0, "done"), (1, "skipped")]
    assert len(bench.remediations()) == 1
    told = [event["detail"]["who"] for event in bench.detail()["events"] if event["detail"].get("who")]
    assert told == ["kim"]


def call_off(bench: Bench) -> None:
    assert bench.app is not None
    bench.app.cancel(1, "kim")


def test_what_failed_after_it_was_called_off_is_final_for_the_occurrence(bench: Bench) -> None:
    def call_off_and_fail() -> None:
        call_off(bench)
        fail()

    bench.actions["test.one"].while_running = call_off_and_fail
    bench.start(first("second, page_owner", attempts=3), SECOND)
    bench.deliver(alert(), rest=False)
    until(lambda: bench.remediations() and bench.remediations()[0]["state"] == "failed")
    climb(bench, 3)

    assert tried(bench) == [("first", "failed")]
    assert fate(bench) == ("cancelled", "cancelled")


def test_what_waits_is_cancelled_at_once_and_what_has_ended_cannot_be(bench: Bench, sources: Sources) -> None:
    sources.silenced = [alert()]
    app = bench.start(first("page_owner"))
    bench.deliver(alert())
    assert bench.states() == [("held", "silenced")]
    app.cancel(1, "kim")
    bench.rest()

    assert bench.states() == [("cancelled", "cancelled")]
    with pytest.raises(NotCancellable, match="remediation 1 is cancelled"):
        app.cancel(1, "kim")
    with pytest.raises(NotCancellable, match="remediation 7 is gone"):
        app.cancel(7, "kim")


# The rules themselves.


def made(name: str, *otherwise: str) -> Playbook:
    return Playbook(
        name, {}, Trigger("Sick"), Mode.AUTO, {}, Limits(attempts=2), (), None, tuple(otherwise), digest=name
    )  # fmt: skip


@pytest.mark.parametrize(
    ("otherwise", "expected"),
    [
        pytest.param((), ["a"], id="no ladder"),
        pytest.param(("b", "page_owner"), ["a", "b"], id="one rung"),
        pytest.param(("b", "c", "page_owner"), ["a", "b", "c"], id="two rungs"),
        pytest.param(("b", "page_owner", "c"), ["a", "b"], id="people are the end"),
        pytest.param(("a", "b", "b"), ["a", "b"], id="none twice"),
    ],
)
def test_the_rungs_are_the_playbooks_up_to_people(otherwise: tuple[str, ...], expected: list[str]) -> None:
    own = made("a", *otherwise)

    # what b names counts for nothing here
    assert [each.name for each in rungs([own, made("b", "c"), made("c")], own)] == expected


BEGAN = ("a", True, State.FAILED, Reason.STEP_FAILED)
DENIED = ("a", False, State.SKIPPED, Reason.POLICY)
PASSED = ("a", False, State.SKIPPED, Reason.COOLDOWN)
OBSERVED = ("a", False, State.OBSERVED, Reason.OBSERVE_MODE)
OTHER = ("b", True, State.FAILED, Reason.STEP_FAILED)
EMPTY = ("a", False, State.SKIPPED, Reason.NOTHING_TO_DO)
TRIES: dict[str, tuple[list[Any], bool, bool]] = {
    "nothing": ([], False, False),
    "one attempt of two": ([BEGAN], False, False),
    "both": ([BEGAN, BEGAN], True, False),
    "denied before anything began": ([DENIED], False, False),
    "observed before anything began": ([OBSERVED], False, False),
    "denied after another": ([OTHER, DENIED], True, True),
    "denied after its own attempt": ([BEGAN, DENIED], True, True),
    "observed after another": ([OTHER, OBSERVED], True, True),
    "held too long after another": ([OTHER, PASSED], False, False),
    "denied, then in time": ([OTHER, DENIED, BEGAN], False, False),
    "nothing to do before anything began": ([EMPTY] * 9, False, False),
    "nothing to do until it began": ([EMPTY] * 9 + [BEGAN], False, False),
    "nothing to do after its own attempt": ([BEGAN, EMPTY], True, False),
    "nothing to do once after another": ([OTHER, EMPTY], False, False),
    "nothing to do twice after another": ([OTHER, EMPTY, EMPTY], True, False),
}


@pytest.mark.parametrize(("tries", "used", "climbed"), TRIES.values(), ids=TRIES)
def test_when_a_playbook_is_used_up(tries: list[Any], used: bool, climbed: bool) -> None:
    told = [Try(*each) for each in tries]

    assert used_up("a", Limits(attempts=2), told) is used
    assert to_be_climbed(told) is climbed
