"""The five stages in order: receive, decide, run, verify, announce. Read this file first.

The engine says when and on which thread a piece of work runs; here stands what it is. All work is a row
(kind, id): an occurrence that wants a decision, a remediation that wants its next move, or a timed turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from remediator import announce, decide, receive, reconcile, run, verify
from remediator.errors import RemediatorError, StoreUnavailable
from remediator.model import Occurrence, Reason, Remediation, State
from remediator.parts import Parts
from remediator.store import Tx

Handler = Callable[[int, float], float | None]

TURNS = 16
"""Moves one turn may make before the row goes back to the queue: a bound, not a target."""
STAGES = {
    State.PENDING: "decide",
    State.HELD: "decide",
    State.VERIFYING: "verify",
    State.UNKNOWN: "verify",
    State.WATCHING: "verify",
}
"""Under which stage an error is counted; all others are `run`."""
OF_AN_EARLIER_LOOK = frozenset({"in_doubt", "end", "since_wall", "healthy_since", "looked_at", "settled"})
"""What of the proof belongs to a look before a person settled the outcome."""


def take_in(parts: Parts, batch: receive.Batch) -> None:
    """Stage 1: store a delivery; raise StoreUnavailable if that is not possible now."""
    receive.receive(parts, batch, parts.clock.now())


def handlers(parts: Parts, tellers: Sequence[announce.Teller]) -> Mapping[str, Handler]:
    """Return what the engine runs for each kind of due work."""
    return {
        "occurrence": lambda number, _now: _occurrence(parts, number),
        "remediation": lambda number, _now: advance(parts, number),
        "announce": lambda _number, now: _timed(parts, "announce", lambda: announce.announce(parts, tellers, now)),
        "reconcile": lambda _number, now: _timed(parts, "reconcile", lambda: reconcile.reconcile(parts, now)),
        "retention": lambda _number, now: _timed(parts, "reconcile", lambda: _retention(parts, now)),
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
        if occurrence is not None and occurrence.closed_at is None:
            decide.consider(parts, occurrence, parts.clock.now())


def advance(parts: Parts, number: int) -> float | None:
    """Stages 2 to 4: move a remediation on until it waits for something or has ended.

    Return when it is due if that is already: a row that is due never goes because a turn left it untouched.
    """
    state = State.RUNNING
    for _ in range(TURNS):
        with _counting(parts, STAGES.get(state, "run")), parts.store.read() as reader:
            remediation = reader.remediation(number)
            occurrence = reader.occurrence(remediation.occurrence_id) if remediation is not None else None
        if remediation is None or occurrence is None:
            return None
        state = remediation.state
        if parts.stopping.is_set() and state is not State.RUNNING:
            return parts.clock.now()
        with _counting(parts, STAGES.get(state, "run")):
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
        case State.VERIFYING:
            verify.verify(parts, remediation)
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
    deleted = parts.store.write(lambda tx: tx.delete_older(now - parts.config.retention, 500))
    return now + (1.0 if deleted >= 500 else 3_600.0)


def start(parts: Parts) -> int:
    """Before the engine starts: settle open intents and make the timed rows; return how many intents were open."""

    def begin(tx: Tx) -> int:
        now = parts.clock.now()
        for kind in ("announce", "reconcile", "retention"):
            tx.schedule(kind, 0, now)
        return run.recover(tx, now)

    return parts.store.write(begin)


class NotUnknown(RemediatorError):
    """Only a remediation whose outcome is unknown can be settled."""


def settle(parts: Parts, number: int, how: str, who: str) -> None:
    """Record what a person says of an unknown outcome: `done`, `not-done` or `give-up`. Raise NotUnknown otherwise.

    What was not done begins again only when every guard allows it; until then it stays unknown.
    """

    def store(tx: Tx) -> None:
        remediation = tx.remediation(number)
        if remediation is None or remediation.state is not State.UNKNOWN:
            raise NotUnknown(f"remediation {number} is not waiting to be settled")
        now = parts.clock.now()
        proof = {key: value for key, value in remediation.proof.items() if key not in OF_AN_EARLIER_LOOK}
        match how:
            case "done":
                tx.set_proof(number, proof)
                tx.advance(number, remediation.position + 1)
                tx.move(number, State.VERIFYING, Reason.SETTLED_DONE, now, due=now, detail={"who": who})
            case "not-done":
                tx.set_proof(number, proof | {"settled": {"who": who, "at": now}})
                told = {"step": remediation.position, "who": who}
                tx.add_event("step", now, remediation_id=number, reason=Reason.SETTLED_NOT_DONE, detail=told)
                tx.schedule("remediation", number, now)
            case _:
                tx.move(number, State.FAILED, Reason.GIVEN_UP, now, detail={"who": who})

    with parts.store.read() as reader:
        found = reader.remediation(number)
    parts.record(() if found is None else found.frozen.steps, store)
