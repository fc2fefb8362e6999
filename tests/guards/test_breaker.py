"""Circuit breakers: the guard on both sides of its boundary, and when the store opens, tries and closes them."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.guards import breaker
from remediator.model import (
    ALL_PLAYBOOKS,
    BREAKER_MOVES,
    Answer,
    Breaker,
    BreakerLimits,
    BreakerState,
    Effect,
    History,
    Rate,
    Reason,
    State,
    Verdict,
)
from remediator.store import Store, schema
from remediator.store.schema import DATABASE, MIGRATIONS
from selfheal.common.clock import ManualClock
from tests.guards.outcomes import end, remediate
from tests.guards.values import FACTS, FROZEN, HISTORY, NOW

ALLOW, HOLD = Answer.ALLOW, Answer.HOLD
CLOSED, OPEN, HALF_OPEN = BreakerState
LIMITS = BreakerLimits()


def opened(tries_at: float, trial: int | None = None, name: str = "heal") -> Breaker:
    state = OPEN if trial is None else HALF_OPEN
    return Breaker(name, state, NOW - 10, failed=3, ended=5, tries_at=tries_at, trial=trial)


@pytest.mark.parametrize(
    ("breakers", "answer", "until"),
    [
        pytest.param((), ALLOW, None, id="closed"),
        pytest.param((opened(NOW + 0.1),), HOLD, NOW + 0.1, id="open nearly as long as it stays so"),
        pytest.param((opened(NOW),), ALLOW, None, id="open as long as it stays so: this one tries"),
        pytest.param((opened(NOW - 50, trial=7),), HOLD, NOW + 30, id="another one tries"),
        pytest.param((opened(NOW), opened(NOW + 9, name=ALL_PLAYBOOKS)), HOLD, NOW + 9, id="the one over all is open"),
        pytest.param((opened(NOW + 5), opened(NOW + 9)), HOLD, NOW + 9, id="both are open: the later counts"),
    ],
)
def test_a_breaker_holds_until_one_may_try(breakers: tuple[Breaker, ...], answer: Answer, until: float | None) -> None:
    history: History = replace(HISTORY, breakers=breakers)

    given = breaker.check(FROZEN, FACTS, history, NOW)

    reason = Reason.ALLOWED if answer is ALLOW else Reason.BREAKER_OPEN
    assert (given.guard, given.answer, given.reason, given.until) == ("breaker", answer, reason, until)


def test_a_hold_names_the_breaker_what_opened_it_and_who_tries() -> None:
    given = breaker.check(FROZEN, FACTS, replace(HISTORY, breakers=(opened(NOW, trial=7),)), NOW)

    assert given.detail == {"breaker": "heal", "state": "half_open", "trial": 7, "failed": 3, "ended": 5}


def state_of(store: Store, name: str = "heal") -> BreakerState:
    with store.read() as reader:
        return {each.name: each.state for each in reader.breakers()}.get(name, CLOSED)


def finish(store: Store, clock: ManualClock, *ends: tuple[State, Verdict | None], playbook: str = "heal") -> None:
    # begun before any of them ends, as workers do: an open breaker would not let the later ones begin
    numbers = [remediate(store, clock, playbook) for _ in ends]
    for number, (state, verdict) in zip(numbers, ends, strict=True):
        end(store, clock, number, state, verdict)


FIXED = (State.SUCCEEDED, Verdict.FIXED)
UNPROVEN = (State.INEFFECTIVE, Verdict.UNPROVEN)
WORSE = (State.INEFFECTIVE, Verdict.WORSE)
FAILED = (State.FAILED, None)
NOT_ASKED = (State.SUCCEEDED, Verdict.NOT_ASKED)
CANCELLED = (State.CANCELLED, None)


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        pytest.param([FAILED] * 4, CLOSED, id="all failed, but too few"),
        pytest.param([FAILED] * 5, OPEN, id="all failed, and enough"),
        pytest.param([FIXED] * 3 + [FAILED] * 2, CLOSED, id="two of five"),
        pytest.param([FIXED] * 3 + [UNPROVEN] * 3, OPEN, id="three of six are half"),
        pytest.param([FIXED] * 4 + [UNPROVEN] * 3, CLOSED, id="three of seven are less than half"),
        pytest.param([FAILED, UNPROVEN, WORSE, FIXED, FIXED], OPEN, id="failed, unproven and worse count alike"),
        pytest.param([FAILED] * 4 + [FIXED], OPEN, id="a success that makes it enough opens it too"),
        pytest.param([FAILED] * 4 + [NOT_ASKED] * 9, CLOSED, id="what was not asked is no success and no failure"),
        pytest.param([FAILED] * 4 + [CANCELLED] * 9, CLOSED, id="what was called off is neither"),
    ],
)
def test_a_breaker_opens_on_the_share_of_what_did_not_help(
    store: Store, clock: ManualClock, ends: list[tuple[State, Verdict | None]], state: BreakerState
) -> None:
    finish(store, clock, *ends)

    assert state_of(store) is state
    assert state_of(store, ALL_PLAYBOOKS) is state


def test_playbooks_that_fail_in_turn_open_only_the_one_over_all(store: Store, clock: ManualClock) -> None:
    for number in range(5):
        finish(store, clock, FAILED, playbook=f"p{number}")

    assert [state_of(store, name) for name in ("p0", "p4", ALL_PLAYBOOKS)] == [CLOSED, CLOSED, OPEN]


@pytest.mark.parametrize(("later", "state"), [(LIMITS.window - 0.001, OPEN), (LIMITS.window, CLOSED)])
def test_what_ended_before_the_window_does_not_count(
    store: Store, clock: ManualClock, later: float, state: BreakerState
) -> None:
    finish(store, clock, *[FAILED] * 4)
    clock.advance(later)
    finish(store, clock, FAILED)

    assert state_of(store) is state


def test_a_jump_of_the_clock_is_no_time_that_passed(store: Store, clock: ManualClock) -> None:
    finish(store, clock, *[FAILED] * 4)
    clock.jump(LIMITS.window)
    finish(store, clock, FAILED)

    assert state_of(store) is OPEN


def test_what_came_back_within_its_watch_is_a_failure_and_no_success_any_more(store: Store, clock: ManualClock) -> None:
    numbers = [remediate(store, clock) for _ in range(5)]
    for number in numbers:
        end(store, clock, number, State.WATCHING, Verdict.FIXED)
    for number in numbers[:2]:
        end(store, clock, number, State.INEFFECTIVE, Verdict.RECURRED)
    before = state_of(store)
    end(store, clock, numbers[2], State.INEFFECTIVE, Verdict.RECURRED)

    assert (before, state_of(store)) == (CLOSED, OPEN)


def test_what_had_no_effect_does_not_count(store: Store, clock: ManualClock) -> None:
    for _ in range(9):
        end(store, clock, remediate(store, clock, effect=Effect.READ_ONLY), *FAILED)

    assert state_of(store) is CLOSED


def open_one(store: Store, clock: ManualClock) -> None:
    finish(store, clock, *[FAILED] * 5)
    clock.advance(LIMITS.open_for)


@pytest.mark.parametrize(
    ("way", "state"),
    [
        pytest.param(FIXED, CLOSED, id="proven"),
        pytest.param((State.WATCHING, Verdict.FIXED), CLOSED, id="proven and watched"),
        pytest.param(FAILED, OPEN, id="failed"),
        pytest.param(UNPROVEN, OPEN, id="not proven"),
        pytest.param(NOT_ASKED, HALF_OPEN, id="not asked: the next one tries"),
        pytest.param(CANCELLED, HALF_OPEN, id="called off: the next one tries"),
    ],
)
def test_one_trial_decides(
    store: Store, clock: ManualClock, way: tuple[State, Verdict | None], state: BreakerState
) -> None:
    open_one(store, clock)
    number = remediate(store, clock)
    under_way = state_of(store)
    end(store, clock, number, *way)

    with store.read() as reader:
        found = reader.breakers_over("heal")
    assert (under_way, state_of(store), state_of(store, ALL_PLAYBOOKS)) == (HALF_OPEN, state, state)
    assert all(each.trial is None for each in found)
    if state is OPEN:
        assert {each.tries_at for each in found} == {clock.now() + LIMITS.open_for}


@pytest.mark.parametrize("way", [FIXED, FAILED, UNPROVEN])
def test_a_trial_without_an_effect_shows_nothing(
    store: Store, clock: ManualClock, way: tuple[State, Verdict | None]
) -> None:
    open_one(store, clock)
    end(store, clock, remediate(store, clock, "other", effect=Effect.READ_ONLY), *way)

    with store.read() as reader:
        (found,) = reader.breakers_over("other")
    assert (found.state, found.trial, found.tries_at) == (HALF_OPEN, None, clock.now())


def test_two_cannot_both_try(store: Store, clock: ManualClock) -> None:
    open_one(store, clock)
    first = remediate(store, clock)

    with pytest.raises(sqlite3.IntegrityError, match="somebody else tries already"):
        remediate(store, clock)

    with store.read() as reader:
        assert {each.trial for each in reader.breakers_over("heal")} == {first}


def test_the_end_of_one_that_does_not_try_changes_nothing(store: Store, clock: ManualClock) -> None:
    early = remediate(store, clock)
    late = remediate(store, clock)
    open_one(store, clock)
    end(store, clock, early, *FIXED)
    remediate(store, clock)
    end(store, clock, late, *FAILED)

    assert state_of(store) is HALF_OPEN


def test_after_it_closed_counting_begins_anew(store: Store, clock: ManualClock) -> None:
    open_one(store, clock)
    end(store, clock, remediate(store, clock), *FIXED)
    clock.jump(-600)
    finish(store, clock, *[FAILED] * 4)
    four = state_of(store)
    finish(store, clock, FAILED)

    assert (four, state_of(store)) == (CLOSED, OPEN)


def test_a_breaker_and_its_trial_survive_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    store = Store.open(tmp_path / "s", clock)
    open_one(store, clock)
    number = remediate(store, clock)
    with store.read() as reader:
        before = reader.breakers()
    store.close()
    store = Store.open(tmp_path / "s", clock)
    with store.read() as reader:
        after = reader.breakers()
    end(store, clock, number, *FIXED)
    closed = state_of(store)
    store.close()

    assert after == before
    assert {each.trial for each in before} == {number}
    assert closed is CLOSED


def test_a_person_resets_it_with_a_reason_and_what_it_held_is_due(store: Store, clock: ManualClock) -> None:
    finish(store, clock, *[FAILED] * 5)
    held = remediate(store, clock, begin=False)
    until = clock.now() + LIMITS.open_for
    store.write(lambda tx: tx.move(held, State.HELD, Reason.BREAKER_OPEN, clock.now(), until=until, due=until))

    before = store.write(lambda tx: tx.reset_breaker("heal", "kim", "path mended", clock.now()))
    again = store.write(lambda tx: tx.reset_breaker("heal", "kim", "path mended", clock.now()))

    with store.read() as reader:
        due = reader.due_of("remediation", held)
        told = [event for event in reader.events_after(0, 10_000) if event.kind == "breaker"]
        now = next(each for each in reader.breakers() if each.name == "heal")
    assert before is not None
    assert (before.state, again, due) == (OPEN, None, clock.now())
    assert (now.state, now.who, now.why) == (CLOSED, "kim", "path mended")
    assert (told[-1].old, told[-1].new, told[-1].detail) == (
        "open", "closed", {"breaker": "heal", "who": "kim", "why": "path mended"},
    )  # fmt: skip


def test_every_move_of_a_breaker_is_an_event(store: Store, clock: ManualClock) -> None:
    open_one(store, clock)
    end(store, clock, remediate(store, clock), *FIXED)

    with store.read() as reader:
        told = [event for event in reader.events_after(0, 10_000) if event.kind == "breaker"]
    mine = [event for event in told if event.detail["breaker"] == "heal"]
    assert [(event.old, event.new) for event in mine] == [
        ("closed", "open"), ("open", "half_open"), ("half_open", "closed"),
    ]  # fmt: skip
    assert mine[0].detail | {"tries_at": 0} == {"breaker": "heal", "failed": 5, "ended": 5, "tries_at": 0}
    assert mine[0].remediation_id is not None


@pytest.mark.parametrize("old", BreakerState)
@pytest.mark.parametrize("new", BreakerState)
def test_the_database_refuses_what_is_no_move(store: Store, old: BreakerState, new: BreakerState) -> None:
    def put(tx, state):  # type: ignore[no-untyped-def]
        tries_at = None if state is CLOSED else 1.0
        values = {"name": "x", "state": state, "now": 1.0, "counted_after": 0, "tries_at": tries_at, "failed": 0}
        tx._run("set_breaker", **values, ended=0, trial=None, who="", why="")

    if old is HALF_OPEN:
        store.write(lambda tx: put(tx, OPEN))
    store.write(lambda tx: put(tx, old))
    if new is old or new in BREAKER_MOVES[old]:
        store.write(lambda tx: put(tx, new))
    else:
        with pytest.raises(sqlite3.IntegrityError, match="only an open breaker can be tried"):
            store.write(lambda tx: put(tx, new))


def test_what_the_first_version_ended_is_counted_after_the_upgrade(tmp_path: Path, clock: ManualClock) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    connection = sqlite3.connect(folder / DATABASE)
    first = (Path(schema.__file__).parent / "sqlite" / MIGRATIONS[0]).read_text("utf-8")
    connection.executescript(f"{first} PRAGMA user_version = 1; DROP TRIGGER remediation_begins_pending;")
    now = clock.now()
    ended = [("failed", None), ("ineffective", "recurred"), ("ineffective", "unproven"), ("undone", None)]
    ended += [("succeeded", "fixed"), ("watching", "fixed"), ("succeeded", "not_asked"), ("skipped", None)]
    for number, (state, verdict) in enumerate(ended, 1):
        proven = now - 20 if verdict in ("fixed", "recurred") else None
        connection.execute(
            "INSERT INTO remediation (id, occurrence_id, playbook, target, lock_key, mode, frozen, state, verdict, "
            "created_at, started_at, verified_at, ended_at) "
            "VALUES (?, 1, 'heal', 't', 'k', 'auto', '{}', ?, ?, 0, ?, ?, ?)",
            (number, state, verdict, now - 30, proven, None if state == "watching" else now - 10),
        )
        connection.execute(
            "INSERT INTO step (remediation_id, position, attempt, undo, action, effect, target, state, plan, "
            "intent_at) VALUES (?, 0, 1, 0, 'a', 'destructive', 't', 'done', '{}', ?)",
            (number, now - 30),
        )
    connection.commit()
    connection.close()
    store = Store.open(folder, clock)

    def counted(tx):  # type: ignore[no-untyped-def]
        found = tx._one("outcomes_of_playbook", playbook="heal", since=now - 60, after=0)
        return found["ended"], found["failed"], tx.healed("heal", "t", Rate(9, 60.0), now).used

    found = store.write(counted)
    store.close()

    assert found == (6, 4, 3)
