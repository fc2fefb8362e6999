"""Requests to people in the store: answered once, bound for good, and gone with what made them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from remediator.model import ApprovalState, Mode, Plan, Reason, State
from remediator.store import Store, Tx

S = ApprovalState
NOW, LATER = 1_000.0, 2_800.0


@pytest.fixture
def asked(store: Store, add: Callable[..., int], plan: Plan) -> tuple[int, int]:
    """A held remediation and its open request."""
    remediation = add(State.HELD, mode=Mode.APPROVE)
    return remediation, store.write(lambda tx: tx.add_approval(remediation, "h", plan, NOW, LATER))


def state_of(store: Store, number: int) -> ApprovalState:
    with store.read() as reader:
        found = reader.approval(number)
    assert found is not None
    return found.state


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        pytest.param({}, True, id="in time, for the plan"),
        pytest.param({"plan_hash": "other"}, False, id="for another plan"),
        pytest.param({"now": LATER}, False, id="too late"),
        pytest.param({"now": LATER - 0.1}, True, id="just in time"),
    ],
)
def test_only_an_answer_in_time_and_for_the_plan_counts(
    store: Store, asked: tuple[int, int], changed: dict[str, Any], counts: bool
) -> None:
    said = {"plan_hash": "h", "now": NOW} | changed

    found = store.write(
        lambda tx: tx.answer_approval(asked[1], said["plan_hash"], S.GRANTED, said["now"], "kim", "cli")
    )

    assert found is counts
    assert state_of(store, asked[1]) is (S.GRANTED if counts else S.OPEN)


def test_only_the_first_answer_counts(store: Store, asked: tuple[int, int]) -> None:
    def answer(state: ApprovalState, who: str) -> bool:
        return store.write(lambda tx: tx.answer_approval(asked[1], "h", state, NOW, who, "cli"))

    assert [answer(S.REFUSED, "kim"), answer(S.GRANTED, "lee"), answer(S.REFUSED, "lee")] == [True, False, False]
    with store.read() as reader:
        found = reader.approval(asked[1])
    assert found is not None
    assert (found.state, found.who) == (S.REFUSED, "kim")


@pytest.mark.parametrize("old", list(S))
@pytest.mark.parametrize("new", list(S))
def test_the_database_itself_refuses_every_other_move(
    store: Store, asked: tuple[int, int], old: ApprovalState, new: ApprovalState
) -> None:
    def put(state: ApprovalState) -> None:
        store.write(lambda tx: tx._connection.execute("UPDATE approval SET state = ?", (state,)))

    for step in {S.USED: [S.GRANTED, S.USED], S.OPEN: []}.get(old, [old]):
        put(step)
    allowed = {S.OPEN: {S.GRANTED, S.REFUSED, S.EXPIRED, S.VOID}, S.GRANTED: {S.USED, S.EXPIRED, S.VOID}}

    if new in allowed.get(old, set()):
        put(new)
    else:
        with pytest.raises(sqlite3.IntegrityError, match="answered once"):
            put(new)


@pytest.mark.parametrize("column", ["plan_hash", "plan", "expires_at", "remediation_id"])
def test_what_is_asked_never_changes(store: Store, asked: tuple[int, int], column: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        store.write(lambda tx: tx._connection.execute(f"UPDATE approval SET {column} = 7"))


def test_another_request_makes_the_one_before_void(store: Store, asked: tuple[int, int], plan: Plan) -> None:
    second = store.write(lambda tx: tx.add_approval(asked[0], "i", plan, NOW, LATER))

    assert (state_of(store, asked[1]), state_of(store, second)) == (S.VOID, S.OPEN)


@pytest.mark.parametrize(
    ("to", "reason", "expected"),
    [
        (State.RUNNING, Reason.ALLOWED, S.USED),
        (State.SKIPPED, Reason.APPROVAL_EXPIRED, S.EXPIRED),
        (State.SKIPPED, Reason.POLICY, S.VOID),
        (State.CANCELLED, Reason.RESOLVED, S.VOID),
        (State.HELD, Reason.PAUSED, S.GRANTED),
    ],
)
def test_what_was_granted_follows_what_it_was_granted_for(
    store: Store, asked: tuple[int, int], to: State, reason: Reason, expected: ApprovalState
) -> None:
    def lead(tx: Tx) -> None:
        tx.answer_approval(asked[1], "h", S.GRANTED, NOW, "kim", "cli")
        tx.move(asked[0], to, reason, NOW)

    store.write(lead)

    assert state_of(store, asked[1]) is expected


def test_what_is_forgotten_takes_its_requests_along(store: Store, asked: tuple[int, int]) -> None:
    store.write(lambda tx: tx.move(asked[0], State.CANCELLED, Reason.RESOLVED, NOW))

    assert store.write(lambda tx: tx.delete_older(NOW + 1, 10)) >= 1
    with store.read() as reader:
        assert reader.approval(asked[1]) is None
        assert reader.list_approvals(10)["items"] == []


def test_requests_are_listed_newest_first_in_pages(store: Store, asked: tuple[int, int], plan: Plan) -> None:
    numbers = [asked[1], *(store.write(lambda tx: tx.add_approval(asked[0], "i", plan, NOW, LATER)) for _ in range(2))]

    with store.read() as reader:
        first = reader.list_approvals(2)
        second = reader.list_approvals(2, int(first["next"]))
        waiting = reader.list_approvals(10, None, "open")

    listed = [int(item["id"]) for item in (*first["items"], *second["items"])]
    assert (listed, second["next"]) == (numbers[::-1], None)
    assert [int(item["id"]) for item in waiting["items"]] == numbers[-1:]
    assert waiting["items"][0]["plan"]["items"] == list(plan.items)
