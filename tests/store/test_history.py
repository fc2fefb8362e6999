"""What the guards are told of the past, on both sides of every boundary; locks and who gets them next."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable

import pytest

from remediator.errors import StoreUnavailable
from remediator.model import Effect, Frozen, History, Limits, Plan, Rate, RateUse, Reason, State, StepState, Target
from remediator.store import Store, starts

HOUR = 3_600.0


def ask(store: Store, id: int, now: float) -> History:
    def work(tx):  # type: ignore[no-untyped-def]
        remediation = tx.remediation(id)
        return tx.history(remediation, now)

    return store.write(work)  # type: ignore[no-any-return]


@pytest.fixture
def start(store: Store, add: Callable[..., int], plan: Plan) -> Callable[..., int]:
    """Store a remediation that began its first step at a time."""

    def make(at: float, **frozen: object) -> int:
        id = add(State.RUNNING, now=at, **frozen)
        store.write(lambda tx: tx.store_intent(id, 0, plan, at))
        return id

    return make


@pytest.mark.parametrize(
    ("now", "used"),
    [(1_000.0, 2), (1_000.0 + HOUR - 0.001, 2), (1_000.0 + HOUR, 1), (1_001.0 + HOUR - 0.001, 1), (1_001.0 + HOUR, 0)],
    ids=["at the start", "just inside", "the first left", "the second just inside", "both left"],
)
def test_a_start_counts_until_its_window_has_passed(
    store: Store, add: Callable[..., int], start: Callable[..., int], now: float, used: int
) -> None:
    start(1_000.0)
    start(1_001.0)
    asking = add()

    rates = {use.scope: use for use in ask(store, asking, now).rates if use.rate.window == HOUR}

    assert (rates["target"].used, rates["playbook"].used) == (used, used)
    if used:
        assert rates["target"].frees_at == (1_000.0 if used == 2 else 1_001.0) + HOUR


def test_each_scope_counts_its_own(store: Store, add: Callable[..., int], start: Callable[..., int]) -> None:
    start(1_000.0)
    start(1_001.0, name="other target")
    start(1_002.0, playbook="another")
    start(1_003.0, name="third", playbook="third")
    asking = add()

    uses = ask(store, asking, 1_010.0).rates

    assert [(use.scope, use.rate, use.used) for use in uses] == [
        ("target", Rate(2, HOUR), 2),
        ("playbook", Rate(2, HOUR), 2),
        ("all", Rate(5, 600.0), 4),
    ]
    assert [use.frees_at for use in uses] == [1_000.0 + HOUR, 1_000.0 + HOUR, 1_000.0 + 600.0]


def test_a_limit_that_was_lowered_frees_only_when_enough_uses_have_left(
    store: Store, add: Callable[..., int], start: Callable[..., int]
) -> None:
    for at in (10.0, 20.0, 30.0, 40.0):
        start(at)
    asking = add(limits=Limits(rate=(Rate(2, 100.0),)))

    use = ask(store, asking, 50.0).rates[0]

    assert (use.used, use.frees_at) == (4, 130.0)
    assert ask(store, asking, 129.9).rates[0].used == 2
    assert ask(store, asking, 130.0).rates[0].used == 1


def test_a_remediation_without_an_intent_uses_nothing(store: Store, add: Callable[..., int]) -> None:
    add(State.RUNNING)
    add(State.HELD)
    asking = add()

    history = ask(store, asking, 1_001.0)

    assert [use.used for use in history.rates] == [0, 0, 0]
    assert (history.last_effect_at, history.attempts, history.live_duplicate, history.lock_holder) == (
        None,
        0,
        None,
        None,
    )


def test_its_own_start_does_not_limit_a_remediation_that_is_asked_for_again(
    store: Store, start: Callable[..., int]
) -> None:
    id = start(1_000.0)

    assert [use.used for use in ask(store, id, 1_001.0).rates] == [0, 0, 0]


def test_the_last_effect_is_anybodys_on_the_same_target_but_never_one_that_only_read(
    store: Store, add: Callable[..., int], start: Callable[..., int], plan: Plan
) -> None:
    start(1_000.0, playbook="another", lock_key="elsewhere")
    start(1_100.0, name="other target")
    start(1_200.0, effect=Effect.READ_ONLY)
    skipping = add(State.RUNNING)
    store.write(lambda tx: tx.skip_step(skipping, 0, Reason.NOTHING_TO_DO, 1_300.0))
    asking = add()

    assert ask(store, asking, 1_400.0).last_effect_at == 1_000.0

    store.write(lambda tx: tx.store_intent(skipping, 1, plan, 1_350.0))
    assert ask(store, asking, 1_400.0).last_effect_at == 1_350.0


def test_targets_of_different_hosts_are_different(
    store: Store, add: Callable[..., int], start: Callable[..., int]
) -> None:
    start(1_000.0)
    asking = add(target=Target("h2", "process_group", "web"))

    assert ask(store, asking, 1_001.0).last_effect_at is None


def test_attempts_are_the_remediations_of_the_occurrence_that_stored_an_intent(
    store: Store, add: Callable[..., int], start: Callable[..., int]
) -> None:
    start(1_000.0)
    store.write(lambda tx: tx.store_result(1, StepState.FAILED, None, 1_001.0))
    store.write(lambda tx: tx.move(1, State.FAILED, Reason.STEP_FAILED, 1_001.0))
    start(1_002.0, occurrence=1)
    add(State.SKIPPED, occurrence=1)
    start(1_003.0)
    asking = add(occurrence=1)

    history = ask(store, asking, 1_004.0)

    assert (history.attempts, history.live_duplicate) == (2, 2)


@pytest.mark.parametrize(
    ("way", "found"),
    [
        ((), True),
        ((State.HELD,), True),
        ((State.RUNNING,), True),
        ((State.RUNNING, State.UNKNOWN), True),
        ((State.RUNNING, State.VERIFYING), True),
        ((State.RUNNING, State.VERIFYING, State.WATCHING), False),
        ((State.RUNNING, State.VERIFYING, State.SUCCEEDED), False),
        ((State.SKIPPED,), False),
    ],
)
def test_a_live_remediation_of_the_same_occurrence_is_a_duplicate(
    store: Store, add: Callable[..., int], way: tuple[State, ...], found: bool
) -> None:
    other = add(*way)
    asking = add(occurrence=1)

    assert ask(store, asking, 1_001.0).live_duplicate == (other if found else None)


def test_a_lock_has_one_holder_and_the_guards_are_told_who(store: Store, add: Callable[..., int]) -> None:
    first, second = add(State.RUNNING), add()

    assert store.write(lambda tx: tx.take_lock("h1", first)) is None
    assert store.write(lambda tx: tx.take_lock("h1", first)) is None
    assert store.write(lambda tx: tx.take_lock("h1", second)) == first
    assert store.write(lambda tx: tx.take_lock("h2", second)) is None
    assert ask(store, second, 1_001.0).lock_holder == first
    assert ask(store, first, 1_001.0).lock_holder is None


@pytest.mark.parametrize(
    ("to", "freed"),
    [
        (State.VERIFYING, False),
        (State.UNDOING, False),
        (State.UNKNOWN, False),
        (State.FAILED, True),
        (State.CANCELLED, True),
    ],
)
def test_leaving_the_locked_states_frees_the_lock_and_staying_does_not(
    store: Store, add: Callable[..., int], to: State, freed: bool
) -> None:
    holder, other = add(State.RUNNING), add()
    store.write(lambda tx: tx.take_lock("h1", holder))

    store.write(lambda tx: tx.move(holder, to, None, 2_000.0))

    assert store.write(lambda tx: tx.take_lock("h1", other)) == (None if freed else holder)


def test_watching_frees_the_lock(store: Store, add: Callable[..., int]) -> None:
    holder, other = add(State.RUNNING, State.VERIFYING), add()
    store.write(lambda tx: tx.take_lock("h1", holder))

    store.write(lambda tx: tx.move(holder, State.WATCHING, Reason.PROVEN, 2_000.0))

    assert store.write(lambda tx: tx.take_lock("h1", other)) is None


def test_a_freed_lock_wakes_exactly_the_one_that_waited_longest(store: Store, add: Callable[..., int]) -> None:
    holder = add(State.RUNNING)
    held = {
        "later": (add(), "h1", Reason.LOCKED, 30.0),
        "longest": (add(), "h1", Reason.LOCKED, 20.0),
        "other reason": (add(), "h1", Reason.BLIND, 5.0),
        "other lock": (add(lock_key="h2"), "h2", Reason.LOCKED, 5.0),
    }

    def hold(tx) -> None:  # type: ignore[no-untyped-def]
        tx.take_lock("h1", holder)
        for id, _, reason, since in held.values():
            tx.move(id, State.HELD, reason, since, until=9_000.0, due=9_000.0)

    store.write(hold)
    store.write(lambda tx: tx.prolong(held["longest"][0], 9_500.0))

    store.write(lambda tx: tx.move(holder, State.FAILED, Reason.STEP_FAILED, 2_000.0))

    with store.read() as reader:
        due = {row.id: row.due for row in reader.work() if row.kind == "remediation"}
    assert {name: due[id] for name, (id, *_) in held.items()} == {
        "later": 9_000.0,
        "longest": 2_000.0,
        "other reason": 9_000.0,
        "other lock": 9_000.0,
    }


def test_prolonging_a_hold_keeps_since_when_it_lasts_and_writes_no_event(
    store: Store, add: Callable[..., int], make_frozen: Callable[..., Frozen]
) -> None:
    id = add()
    store.write(lambda tx: tx.move(id, State.HELD, Reason.LOCKED, 20.0, until=25.0, due=25.0))
    with store.read() as reader:
        before = len(reader.events_after(0, 100))

    store.write(lambda tx: tx.prolong(id, 50.0))

    with store.read() as reader:
        found = reader.remediation(id)
        assert (reader.due_of("remediation", id), len(reader.events_after(0, 100))) == (50.0, before)
    assert found is not None
    assert (found.held_since, found.until, found.reason) == (20.0, 50.0, Reason.LOCKED)


def test_attempts_at_a_step_are_numbered_and_undos_apart(store: Store, add: Callable[..., int], plan: Plan) -> None:
    id = add(State.RUNNING)

    def work(tx) -> None:  # type: ignore[no-untyped-def]
        for at in (1.0, 2.0):
            tx.store_result(tx.store_intent(id, 0, plan, at), StepState.UNKNOWN, None, at + 0.5)
        tx.skip_step(id, 1, Reason.NOTHING_TO_DO, 3.0)
        tx.store_intent(id, 0, plan, 4.0, undo=True)

    store.write(work)

    with store.read() as reader:
        steps = reader.steps(id)
        found = reader.remediation(id)
        intents = reader.open_intents()
    assert [(step.position, step.attempt, step.undo, step.state) for step in steps] == [
        (0, 1, False, StepState.UNKNOWN),
        (0, 2, False, StepState.UNKNOWN),
        (1, 1, False, StepState.SKIPPED),
        (0, 1, True, StepState.INTENT),
    ]
    assert [step.plan for step in steps[:2]] == [plan, plan]
    assert steps[2].plan == Plan((), {"reason": "nothing_to_do"})
    assert [(number, step.id) for number, step in intents] == [(id, steps[3].id)]
    assert found is not None
    assert (found.started_at, found.position) == (1.0, 0)


def test_starts_are_counted_the_same_by_the_writer_as_from_the_file(
    store: Store, add: Callable[..., int], start: Callable[..., int]
) -> None:
    asking = add()
    for at in (1_000.0, 1_200.0, 1_100.0, 1_300.0):
        # asked between two starts, so that what the writer remembers is carried on and not loaded anew
        ask(store, asking, at)
        start(at)

    remembered = ask(store, asking, 1_500.0)
    with store.read() as reader:
        remediation = reader.remediation(asking)
        assert remediation is not None
        loaded = reader.history(remediation, 1_500.0)

    assert remembered == loaded
    assert [(use.scope, use.used) for use in remembered.rates] == [("target", 4), ("playbook", 4), ("all", 4)]


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_start_that_was_rolled_back_is_not_counted(
    store: Store, add: Callable[..., int], plan: Plan, whole_group: bool
) -> None:
    asking, other = add(), add(State.RUNNING)
    ask(store, asking, 1_000.0)

    def breaks(tx) -> None:  # type: ignore[no-untyped-def]
        tx.store_intent(other, 0, plan, 1_000.0)
        assert [use.used for use in tx.history(tx.remediation(asking), 1_001.0).rates] == [1, 1, 1]
        if whole_group:
            raise sqlite3.OperationalError("disk I/O error")
        raise ZeroDivisionError

    with pytest.raises(StoreUnavailable if whole_group else ZeroDivisionError):
        store.write(breaks)

    assert [use.used for use in ask(store, asking, 1_001.0).rates] == [0, 0, 0]


def test_old_starts_are_dropped_from_memory_and_a_longer_window_still_counts_them(
    store: Store, add: Callable[..., int], start: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "TRIM_AT", 2)
    short = add(limits=Limits(rate=(Rate(2, 10.0),)), host_rates=())
    for at in range(1_000, 1_010):
        start(float(at))
        ask(store, short, float(at))

    assert [use.used for use in ask(store, short, 1_015.0).rates] == [4, 4]
    long = add(limits=Limits(rate=(Rate(2, 1_000.0),)), host_rates=())
    assert [use.used for use in ask(store, long, 1_015.0).rates] == [10, 10]
    assert [use.used for use in ask(store, short, 1_016.0).rates] == [3, 3]


@pytest.mark.parametrize(
    ("times", "own", "count", "used", "frees_at"),
    [
        ([1.0, 2.0, 3.0], None, 3, 3, 101.0),
        ([1.0, 2.0, 3.0], 1.0, 2, 2, 102.0),
        ([1.0, 2.0, 3.0], 2.0, 2, 2, 101.0),
        ([1.0, 2.0, 3.0], 3.0, 1, 2, 102.0),
        ([1.0, 2.0, 3.0], 2.0, 1, 2, 103.0),
        ([1.0, 2.0, 3.0], 0.5, 3, 3, 101.0),
        ([1.0], 1.0, 1, 0, 50.0),
        ([2.0, 2.0], 2.0, 1, 1, 102.0),
        ([1.0, 2.0], None, 5, 2, 101.0),
    ],
)
def test_room_is_free_again_when_enough_others_have_left(
    times: list[float], own: float | None, count: int, used: int, frees_at: float
) -> None:
    rate = Rate(count, 100.0)

    found = starts.use_of("all", rate, array("d", times), own, 50.0)

    assert found == RateUse("all", rate, used, frees_at)
