"""The database itself refuses what the model does not permit."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.model import ENDS, MOVES, Frozen, Limits, Plan, Reason, State, StepState, Verdict
from remediator.store import IllegalMove, Store, Tx

PATHS: dict[State, tuple[State, ...]] = {
    State.PENDING: (),
    State.HELD: (State.HELD,),
    State.RUNNING: (State.RUNNING,),
    State.UNDOING: (State.RUNNING, State.UNDOING),
    State.VERIFYING: (State.RUNNING, State.VERIFYING),
    State.WATCHING: (State.RUNNING, State.VERIFYING, State.WATCHING),
    State.UNKNOWN: (State.RUNNING, State.UNKNOWN),
    State.OBSERVED: (State.OBSERVED,),
    State.SKIPPED: (State.SKIPPED,),
    State.CANCELLED: (State.CANCELLED,),
    State.SUCCEEDED: (State.RUNNING, State.VERIFYING, State.SUCCEEDED),
    State.INEFFECTIVE: (State.RUNNING, State.VERIFYING, State.INEFFECTIVE),
    State.FAILED: (State.RUNNING, State.FAILED),
    State.UNDONE: (State.RUNNING, State.UNDOING, State.UNDONE),
}
"""How to reach each state."""


@pytest.mark.parametrize("old", list(State))
@pytest.mark.parametrize("new", list(State))
def test_every_pair_of_states_is_allowed_or_refused_as_the_model_says(
    store: Store, add: Callable[..., int], old: State, new: State
) -> None:
    id = add(*PATHS[old])

    if new in MOVES[old]:
        store.write(lambda tx: tx.move(id, new, Reason.ALLOWED, 2_000.0))
        expected = new
    else:
        with pytest.raises(IllegalMove, match=f"remediation {id} may not go from {old} to {new}"):
            store.write(lambda tx: tx.move(id, new, Reason.ALLOWED, 2_000.0))
        expected = old

    with store.read() as reader:
        found = reader.remediation(id)
    assert found is not None
    assert found.state is expected


def test_the_move_table_is_the_model_and_is_filled_anew_at_every_open(store: Store) -> None:
    def spoil(tx: Tx) -> None:
        tx._connection.execute("DELETE FROM move")
        tx._connection.execute("INSERT INTO move (a, b) VALUES ('failed', 'succeeded')")

    store.write(spoil)
    store.close()

    again = Store.open(store.folder, store._clock)
    with again.read() as reader:
        rows = {tuple(row) for row in reader._connection.execute("SELECT a, b FROM move")}
    again.close()
    assert rows == {(a.value, b.value) for a, onward in MOVES.items() for b in onward}


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_a_remediation_cannot_be_inserted_in_any_state_but_pending(
    store: Store, add: Callable[..., int], state: State
) -> None:
    add()

    def insert(tx: Tx) -> None:
        tx._connection.execute(
            "INSERT INTO remediation (occurrence_id, playbook, target, lock_key, mode, frozen, state, created_at) "
            "SELECT occurrence_id, playbook, target, lock_key, mode, frozen, ?, created_at FROM remediation",
            (state.value,),
        )

    with pytest.raises(sqlite3.IntegrityError, match="a remediation begins pending"):
        store.write(insert)
    with store.read() as reader:
        assert len(reader.list_remediations(10)["items"]) == 1


def test_no_code_of_the_remediator_replaces_rows_as_a_whole() -> None:
    words = re.compile(r"\b(OR\s+REPLACE|REPLACE\s+INTO)\b", re.IGNORECASE)
    folder = Path(__file__).parents[2] / "remediator"
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".sql")]

    assert len(files) > 10
    assert [str(path) for path in files if words.search(path.read_text(encoding="utf-8"))] == []


def test_what_is_frozen_cannot_be_changed_and_what_is_live_cannot_be_deleted(
    store: Store, add: Callable[..., int]
) -> None:
    id = add(State.RUNNING)

    for statement, message in (
        ("UPDATE remediation SET frozen = '{}'", "what is frozen never changes"),
        ("UPDATE remediation SET id = 99", "what is frozen never changes"),
        ("UPDATE event SET kind = 'x'", "history is never rewritten"),
        ("DELETE FROM remediation", "only an ended remediation may be deleted"),
    ):
        with pytest.raises(sqlite3.IntegrityError, match=message):
            store.write(lambda tx, statement=statement: tx._connection.execute(statement))  # type: ignore[misc]
    with store.read() as reader:
        assert reader.remediation(id) is not None


def test_a_move_of_a_remediation_that_does_not_exist_is_refused(store: Store) -> None:
    with pytest.raises(IllegalMove, match="remediation 5 does not exist"):
        store.write(lambda tx: tx.move(5, State.RUNNING, None, 1.0))


def test_a_refused_move_leaves_no_event_and_no_work_behind(store: Store, add: Callable[..., int]) -> None:
    id = add()
    with store.read() as reader:
        before = (len(reader.events_after(0, 100)), reader.work())

    with pytest.raises(IllegalMove):
        store.write(lambda tx: tx.move(id, State.SUCCEEDED, None, 2.0, due=3.0))

    with store.read() as reader:
        assert (len(reader.events_after(0, 100)), reader.work()) == before


def test_a_move_writes_its_event_its_times_and_its_due_row(store: Store, add: Callable[..., int]) -> None:
    id = add(now=10.0)

    def work(tx: Tx) -> None:
        tx.move(id, State.HELD, Reason.BLIND, 20.0, until=25.0, due=25.0, detail={"source": "prometheus"})
        tx.move(id, State.HELD, Reason.COOLDOWN, 30.0, until=60.0, due=60.0)
        tx.move(id, State.RUNNING, Reason.ALLOWED, 60.0, due=60.0)
        tx.move(id, State.VERIFYING, Reason.ALLOWED, 70.0)
        tx.move(id, State.WATCHING, Reason.PROVEN, 80.0, verdict=Verdict.FIXED, due=90.0)

    store.write(work)

    with store.read() as reader:
        found = reader.remediation(id)
        events = [event for event in reader.events_after(0, 100) if event.remediation_id == id]
        due = reader.due_of("remediation", id)
    assert found is not None
    assert (found.held_since, found.verified_at, found.ended_at, found.until) == (20.0, 80.0, None, None)
    assert (found.verdict, due) == (Verdict.FIXED, 90.0)
    assert [(event.kind, event.old, event.new, event.reason) for event in events] == [
        ("moved", None, "pending", None),
        ("moved", "pending", "held", Reason.BLIND),
        ("moved", "held", "held", Reason.COOLDOWN),
        ("moved", "held", "running", Reason.ALLOWED),
        ("moved", "running", "verifying", Reason.ALLOWED),
        ("moved", "verifying", "watching", Reason.PROVEN),
    ]
    assert events[1].detail == {"source": "prometheus"}


@pytest.mark.parametrize("end", sorted(ENDS))
def test_an_end_deletes_the_work_row_and_gives_the_occurrence_its_fate(
    store: Store, add: Callable[..., int], end: State
) -> None:
    *way, last = PATHS[end]
    id = add(*way)
    store.write(lambda tx: tx.schedule("remediation", id, 5.0))

    store.write(lambda tx: tx.move(id, last, Reason.RESOLVED, 9.0))

    with store.read() as reader:
        found = reader.remediation(id)
        assert found is not None
        occurrence = reader.occurrence(found.occurrence_id)
        assert occurrence is not None
        assert (found.ended_at, reader.due_of("remediation", id)) == (9.0, None)
        assert (occurrence.fate, occurrence.reason, occurrence.remediation_id) == (end, Reason.RESOLVED, id)
        fates = [event for event in reader.events_after(0, 100) if event.kind == "fate"]
    assert [(event.occurrence_id, event.new) for event in fates] == [(found.occurrence_id, end)]


def test_verified_at_is_set_by_a_direct_success_only_when_it_was_proven(store: Store, add: Callable[..., int]) -> None:
    proven, unasked = add(State.RUNNING, State.VERIFYING), add(State.RUNNING, State.VERIFYING)

    store.write(lambda tx: tx.move(proven, State.SUCCEEDED, Reason.PROVEN, 7.0, verdict=Verdict.FIXED))
    store.write(lambda tx: tx.move(unasked, State.SUCCEEDED, Reason.PROOF_NOT_ASKED, 7.0, verdict=Verdict.NOT_ASKED))

    with store.read() as reader:
        found = [reader.remediation(proven), reader.remediation(unasked)]
    assert [each.verified_at for each in found if each is not None] == [7.0, None]


def test_an_older_remediation_that_ends_late_does_not_overwrite_the_fate_of_a_newer_one(
    store: Store, add: Callable[..., int]
) -> None:
    older = add(State.RUNNING, State.VERIFYING, State.WATCHING)
    with store.read() as reader:
        found = reader.remediation(older)
    assert found is not None
    newer = add(occurrence=found.occurrence_id)

    store.write(lambda tx: tx.move(older, State.SUCCEEDED, Reason.HELD_WATCH, 50.0))

    with store.read() as reader:
        occurrence = reader.occurrence(found.occurrence_id)
    assert occurrence is not None
    assert (occurrence.fate, occurrence.remediation_id) == (None, newer)


def test_a_second_intent_is_refused_while_one_has_no_result(store: Store, add: Callable[..., int], plan: Plan) -> None:
    id = add(State.RUNNING)
    store.write(lambda tx: tx.store_intent(id, 0, plan, 10.0))

    with pytest.raises(IllegalMove, match=f"step 1 of remediation {id} cannot be stored"):
        store.write(lambda tx: tx.store_intent(id, 1, plan, 11.0))

    with store.read() as reader:
        assert [step.position for step in reader.steps(id)] == [0]


@pytest.mark.parametrize(("id", "position"), [(1, 2), (1, -1), (2, 0)])
def test_an_intent_for_a_step_that_is_not_in_the_frozen_playbook_is_refused(
    store: Store, add: Callable[..., int], plan: Plan, id: int, position: int
) -> None:
    add(State.RUNNING)

    with pytest.raises(IllegalMove, match=f"remediation {id} (has no step {position}|does not exist)"):
        store.write(lambda tx: tx.store_intent(id, position, plan, 10.0))

    with store.read() as reader:
        assert reader.open_intents() == []


def test_what_json_has_no_word_for_is_frozen_and_run_all_the_same(
    store: Store, add: Callable[..., int], plan: Plan
) -> None:
    id = add(State.RUNNING, limits=Limits(cooldown=math.inf))

    store.write(lambda tx: tx.store_intent(id, 0, plan, 10.0))

    with store.read() as reader:
        found = reader.remediation(id)
    assert found is not None
    assert found.frozen.limits.cooldown == math.inf


RESULTS = (StepState.DONE, StepState.FAILED, StepState.SKIPPED, StepState.UNKNOWN)


@pytest.mark.parametrize("first", RESULTS)
@pytest.mark.parametrize("second", list(StepState))
def test_a_result_is_stored_once_and_only_unknown_may_be_replaced(
    store: Store, add: Callable[..., int], plan: Plan, first: StepState, second: StepState
) -> None:
    id = add(State.RUNNING)
    step = store.write(lambda tx: tx.store_intent(id, 0, plan, 10.0))
    store.write(lambda tx: tx.store_result(step, first, None, 11.0))
    allowed = first is StepState.UNKNOWN and second is not StepState.INTENT

    if allowed:
        store.write(lambda tx: tx.store_result(step, second, None, 12.0))
    else:
        with pytest.raises(IllegalMove, match=f"step {step} has its result already"):
            store.write(lambda tx: tx.store_result(step, second, None, 12.0))

    with store.read() as reader:
        assert reader.steps(id)[0].state is (second if allowed else first)


def test_counts_name_every_state_even_those_without_a_remediation(
    store: Store, add: Callable[..., int], make_frozen: Callable[..., Frozen]
) -> None:
    add(State.RUNNING)
    add(State.RUNNING)
    add()

    with store.read() as reader:
        counts = reader.counts()

    assert counts == {state.value: 0 for state in State} | {"running": 2, "pending": 1}
