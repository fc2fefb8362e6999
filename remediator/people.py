"""What a person says of one remediation: how an unknown outcome is to be settled, or that it is called off."""

from __future__ import annotations

from remediator.errors import RemediatorError
from remediator.model import Outcome, Reason, Remediation, State, StepRow, StepState
from remediator.parts import Parts
from remediator.store import Tx
from remediator.undo import fail, stopped_by, without_earlier_looks

CANCELLABLE = frozenset({State.PENDING, State.HELD, State.RUNNING})
"""States with something left to begin. An undo is never called off, and a look at the proof does nothing."""


class NotUnknown(RemediatorError):
    """Only a remediation whose outcome is unknown can be settled."""


class NotCancellable(RemediatorError):
    """Nothing of this remediation is left to begin, or its outcome must be settled first."""


def settle(parts: Parts, number: int, how: str, who: str) -> None:
    """Record what a person says of an unknown outcome: `done`, `not-done` or `give-up`. Raise NotUnknown otherwise.

    What was not done begins again only when every guard allows it; until then it stays unknown. Of an undo, whichever
    is said, the rest is taken back then: that waits for no guard.
    """

    def store(tx: Tx) -> None:
        remediation = tx.remediation(number)
        if remediation is None or remediation.state is not State.UNKNOWN:
            raise NotUnknown(f"remediation {number} is not waiting to be settled")
        now = parts.clock.now()
        row = tx.steps(number)[-1]
        if how == "done":
            _done(tx, remediation, row, who, now)
        elif how == "not-done":
            _not_done(tx, remediation, row, who, now)
        else:
            tx.move(number, State.FAILED, Reason.GIVEN_UP, now, detail={"who": who})

    with parts.store.read() as reader:
        found = reader.remediation(number)
    parts.record(() if found is None else found.frozen.steps, store)


def _done(tx: Tx, remediation: Remediation, row: StepRow, who: str, now: float) -> None:
    if row.state is StepState.UNKNOWN:
        tx.store_result(row.id, StepState.DONE, Outcome(True, row.plan.items, {"settled_by": who}), now)
    tx.set_proof(remediation.id, without_earlier_looks(remediation.proof))
    if row.undo:
        _undo_on(tx, remediation, Reason.SETTLED_DONE, who, now)
        return
    tx.advance(remediation.id, remediation.position + 1)
    present = tx.remediation(remediation.id)
    if present is not None and (stopped := stopped_by(present, tx.steps(present.id))) is not None:
        # a step before it had failed, and this one only had to run in any case
        fail(tx, present, stopped, now, detail={"who": who})
        return
    tx.move(remediation.id, State.VERIFYING, Reason.SETTLED_DONE, now, due=now, detail={"who": who})


def _not_done(tx: Tx, remediation: Remediation, row: StepRow, who: str, now: float) -> None:
    proof = without_earlier_looks(remediation.proof)
    if row.undo:
        tx.set_proof(remediation.id, proof)
        _undo_on(tx, remediation, Reason.SETTLED_NOT_DONE, who, now)
        return
    tx.set_proof(remediation.id, proof | {"settled": {"who": who, "at": now}})
    told = {"step": remediation.position, "who": who}
    tx.add_event("step", now, remediation_id=remediation.id, reason=Reason.SETTLED_NOT_DONE, detail=told)
    tx.schedule("remediation", remediation.id, now)


def _undo_on(tx: Tx, remediation: Remediation, reason: Reason, who: str, now: float) -> None:
    """Go on taking back; from unknown the way to there is through running, where nothing is begun meanwhile."""
    tx.move(remediation.id, State.RUNNING, reason, now, detail={"who": who})
    tx.move(remediation.id, State.UNDOING, reason, now, due=now, detail={"who": who})


def cancel(parts: Parts, number: int, who: str) -> None:
    """Call a remediation off: it ends before its next effect, and what was done already is judged.

    The step that runs just now is not interrupted, and what must always run after it still does. Raise NotCancellable
    if nothing of it is left to begin.
    """

    def store(tx: Tx) -> None:
        remediation = tx.remediation(number)
        if remediation is None or remediation.state not in CANCELLABLE:
            state = "gone" if remediation is None else remediation.state.value
            raise NotCancellable(f"remediation {number} is {state}: nothing of it is left to call off")
        now = parts.clock.now()
        tx.set_cancel(number, Reason.CANCELLED, now)
        told = {"step": remediation.position, "who": who}
        tx.add_event("step", now, remediation_id=number, reason=Reason.CANCELLED, detail=told)

    with parts.store.read() as reader:
        found = reader.remediation(number)
    parts.record(() if found is None else found.frozen.steps, store)
