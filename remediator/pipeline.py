"""The five stages in order: receive, decide, run, verify, announce. Read this file first.

The engine says when and on which thread a piece of work runs; here stands what it is. All work is a row
(kind, id): an occurrence that wants a decision, a remediation that wants its next move, or a timed turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from remediator import (
    announce,
    consider,
    decide,
    effect,
    monitoring_control,
    pause_audit,
    receive,
    reconcile,
    reidentify,
    run,
    undo,
    verify,
    watchdog,
)
from remediator.auditing import Auditor
from remediator.errors import StoreUnavailable
from remediator.model import Occurrence, Reason, Remediation, State
from remediator.parts import Parts
from remediator.selftest import Selftest
from remediator.store import Tx
from remediator.trust import Trust

Handler = Callable[[int, float], float | None]

TURNS = 16
"""Moves one turn may make before the row goes back to the queue: a bound, not a target."""
EVENTS_AT_ONCE = 5_000
"""Events that retention forgets in one transaction: ten for each remediation that may go in one."""
STAGES = {
    State.PENDING: "decide",
    State.HELD: "decide",
    State.VERIFYING: "verify",
    State.UNKNOWN: "verify",
    State.WATCHING: "verify",
}
"""Under which stage an error is counted; all others are `run`."""


def take_in(parts: Parts, batch: receive.Batch) -> None:
    """Stage 1: store a delivery; raise StoreUnavailable if that is not possible now."""
    receive.receive(parts, batch, parts.clock.now())


def handlers(
    parts: Parts, tellers: Sequence[announce.Teller], auditor: Auditor, selftest: Selftest, trust: Trust
) -> Mapping[str, Handler]:
    """Return what the engine runs for each kind of due work."""
    return {
        "occurrence": lambda number, _now: _occurrence(parts, number),
        "remediation": lambda number, _now: advance(parts, number),
        "announce": lambda _number, now: _timed(parts, "announce", lambda: announce.announce(parts, tellers, now)),
        "reconcile": lambda _number, now: _timed(parts, "reconcile", lambda: reconcile.reconcile(parts, now)),
        "retention": lambda _number, now: _timed(parts, "reconcile", lambda: _retention(parts, now)),
        "pauses": lambda _number, now: _timed(parts, "reconcile", lambda: pause_audit.look(parts, now)),
        "watchdog": lambda _number, now: _timed(parts, "watchdog", lambda: watchdog.look(parts, now)),
        "audit": lambda _number, now: _timed(parts, "audit", lambda: auditor.turn(now)),
        "selftest": lambda _number, now: _timed(parts, "selftest", lambda: selftest.turn(now)),
        "trust": lambda _number, now: _timed(parts, "trust", lambda: trust.turn(now)),
    }


def _timed(parts: Parts, stage: str, turn: Callable[[], float | None]) -> float | None:
    with _counting(parts, stage):
        return turn()


@contextmanager
def _counting(parts: Parts, stage: str) -> Iterator[None]:
    """Count what goes wrong inside; the engine logs it and tries again."""
    try:
        yield
    except StoreUnavailable:
        parts.counters.count("store_errors")
        raise
    except Exception:
        parts.counters.count("stage_errors", stage=stage)
        raise


def _occurrence(parts: Parts, number: int) -> None:
    """Stage 2, first half: match a playbook.

    The remediation's own row does the rest: one row is never on two workers, and that is what keeps an effect single.
    """
    with _counting(parts, "decide"):
        with parts.store.read() as reader:
            occurrence = reader.occurrence(number)
            stopped = reader.monitoring_stopped(parts.clock.now()) is not None
        if occurrence is None or occurrence.closed_at is not None:
            return
        if stopped:
            monitoring_control.leave_stored(parts, number)
        else:
            consider.consider(parts, occurrence, parts.clock.now())


def advance(parts: Parts, number: int) -> float | None:
    """Stages 2 to 4: move a remediation on until it waits for something or has ended.

    Return when it is due if that is already: a row that is due never goes because a turn left it untouched.
    """
    state = State.RUNNING
    for _ in range(TURNS):
        with _counting(parts, STAGES.get(state, "run")), parts.store.read() as reader:
            remediation = reader.remediation(number)
            occurrence = reader.occurrence(remediation.occurrence_id) if remediation is not None else None
            stopped = reader.monitoring_stopped(parts.clock.now()) is not None
        if remediation is None or occurrence is None:
            return None
        state = remediation.state
        if parts.stopping.is_set() and state not in (State.RUNNING, State.UNDOING):
            return parts.clock.now()
        with _counting(parts, STAGES.get(state, "run")):
            if stopped and monitoring_control.put_aside(parts, remediation):
                return None
            if not _stage(parts, remediation, occurrence):
                return None
            with parts.store.read() as reader:
                due = reader.due_of("remediation", number)
        if due is None or due > parts.clock.now():
            return due
    return parts.clock.now()


def _stage(parts: Parts, remediation: Remediation, occurrence: Occurrence) -> bool:
    """Do one move; say whether there may be another."""
    match remediation.state:
        case State.PENDING | State.HELD:
            decide.decide(parts, remediation, occurrence, parts.clock.now())
        case State.RUNNING:
            run.run(parts, remediation, occurrence)
        case State.UNDOING:
            undo.undo(parts, remediation)
        case State.VERIFYING:
            parts.reached("before_verify")
            verify.verify(parts, remediation)
            parts.reached("verify_stored")
        case State.UNKNOWN if "settled" in remediation.proof:
            decide.decide_settled(parts, remediation, occurrence, parts.clock.now())
        case State.UNKNOWN:
            verify.look_once(parts, remediation)
        case State.WATCHING:
            verify.watch(parts, remediation)
        case _:
            return False
    return True


def _retention(parts: Parts, now: float) -> float:
    before = now - parts.config.retention
    deleted = parts.store.write(lambda tx: tx.delete_older(before, 500))
    pruned = parts.store.write(lambda tx: tx.prune_events(before, EVENTS_AT_ONCE))
    return now + (1.0 if deleted >= 500 or pruned >= EVENTS_AT_ONCE else 3_600.0)


def start(parts: Parts) -> int:
    """Before the engine starts: know what is open, settle open intents, make the timed rows; return how many."""

    def begin(tx: Tx) -> int:
        now = parts.clock.now()
        for kind in ("announce", "reconcile", "retention", "pauses", "watchdog", "audit", "selftest", "trust"):
            tx.schedule(kind, 0, now)
        for number in tx.held_because(Reason.WINDOW):
            # the windows of the configuration may be others now
            tx.schedule("remediation", number, now)
        return effect.recover(tx, now)

    reidentify.reidentify(parts)
    return parts.store.write(begin)
