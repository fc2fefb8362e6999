"""What a blast radius counts: other targets of the same group, in flight or touched within the window."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from remediator.model import (
    Alert,
    BlastRadius,
    Effect,
    Frozen,
    Limits,
    Outcome,
    Plan,
    Reason,
    State,
    StepState,
    Target,
    Touched,
    Verdict,
)
from remediator.store import Store, Tx

HOUR = 3_600.0
RADIUS = BlastRadius(("job",), count=1, window=HOUR)
OTHER = "h1/process_group:other"
LATER = 5_000.0

Begin = Callable[..., int]


@pytest.fixture
def begin(
    store: Store, make_alert: Callable[..., Alert], make_frozen: Callable[..., Frozen], plan: Plan
) -> Callable[..., int]:
    """Store a remediation of a group, its intent at a time, and lead it to its end."""
    count = iter(range(1_000))

    def make(
        at: float | None, name: str = "other", ends: bool = True, effect: Effect = Effect.DESTRUCTIVE, **labels: str
    ) -> int:
        def work(tx: Tx) -> int:
            told = {"alertname": "Sick", "instance": "h1:9100", "job": "web"} | labels
            occurrence, _ = tx.open_occurrence(make_alert(f"f{next(count)}", labels=told), 1.0)
            frozen = make_frozen(name, effect, labels=told, limits=Limits(blast_radius=RADIUS))
            id = tx.add_remediation(occurrence, frozen, 1.0)
            if at is not None:
                tx.move(id, State.RUNNING, Reason.ALLOWED, at)
                step = tx.store_intent(id, 0, plan, at)
                tx.store_result(step, StepState.DONE, Outcome(True, ()), at)
            if at is not None and ends:
                tx.move(id, State.VERIFYING, None, at)
                tx.move(id, State.SUCCEEDED, None, at, verdict=Verdict.NOT_ASKED)
            return id

        return store.write(work)

    return make


def touched(store: Store, id: int, now: float) -> tuple[Touched, ...]:
    return store.write(lambda tx: tx.history(tx.remediation(id), now).touched)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "counts"),
    [(LATER, True), (LATER + HOUR - 0.001, True), (LATER + HOUR, False)],
    ids=["now", "inside", "out"],
)
def test_what_ended_counts_until_its_window_has_passed(store: Store, begin: Begin, now: float, counts: bool) -> None:
    begin(LATER)
    asking = begin(None, "asking")

    assert touched(store, asking, now) == ((Touched(OTHER, LATER + HOUR),) if counts else ())


def test_what_is_in_flight_counts_however_long_ago_it_began(store: Store, begin: Begin) -> None:
    begin(1.0, ends=False)
    asking = begin(None, "asking")

    assert touched(store, asking, 9e9) == (Touched(OTHER, None),)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"job": "db"}, id="another group"),
        pytest.param({"name": "asking"}, id="its own target"),
        pytest.param({"effect": Effect.READ_ONLY}, id="only looked"),
        pytest.param({"at": None}, id="not begun"),
    ],
)
def test_what_takes_nothing_of_the_group_counts_for_nothing(
    store: Store, begin: Begin, changes: dict[str, object]
) -> None:
    begin(**{"at": LATER} | changes)
    asking = begin(None, "asking")

    assert touched(store, asking, LATER) == ()


def test_a_target_counts_once_by_its_last_effect_and_whatever_else_its_alerts_say(store: Store, begin: Begin) -> None:
    for at, name, zone in ((LATER, "other", "a"), (LATER + 9, "other", "b"), (LATER + 5, "third", "a")):
        begin(at, name, zone=zone)
    asking = begin(None, "asking")

    assert touched(store, asking, LATER + 10) == (
        Touched(OTHER, LATER + 9 + HOUR),
        Touched("h1/process_group:third", LATER + 5 + HOUR),
    )


def test_an_intent_that_was_taken_back_touched_nothing(store: Store, begin: Begin, plan: Plan) -> None:
    other, asking = begin(None), begin(None, "asking")

    def taken_back(tx: Tx) -> None:
        tx.move(other, State.RUNNING, Reason.ALLOWED, LATER)
        step = tx.store_intent(other, 0, plan, LATER)
        tx.store_result(step, StepState.SKIPPED, None, LATER)
        tx.move(other, State.CANCELLED, Reason.RESOLVED, LATER)

    store.write(taken_back)

    assert touched(store, asking, LATER) == ()


@pytest.mark.parametrize("value", ['a"b', "a'b", "$.x", "", "한국", "\ud800", "%"])
def test_a_label_of_any_text_names_its_group(store: Store, begin: Begin, value: str) -> None:
    begin(LATER, "other", job=value)
    begin(LATER, "third", job=value + "x")
    asking = begin(None, "asking", job=value)

    assert [each.target for each in touched(store, asking, LATER)] == [OTHER]


def test_without_a_blast_radius_nothing_is_counted(
    store: Store, begin: Begin, add: Callable[..., int], make_frozen: Callable[..., Frozen]
) -> None:
    begin(LATER)
    asking = add(target=Target("h1", "process_group", "asking"))

    assert touched(store, asking, LATER) == ()
