"""What steps did is taken back, in the reverse of the order in which it was done, where the playbook declares it.

An undo is like a step marked `always`: only a hard pause, the policy or a changed action keeps it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from remediator.effect import (
    ATTEMPTS_AT_MOST,
    Result,
    carry_out,
    lapsed,
    left_over,
    paused,
    told,
    wait,
)
from remediator.model import (
    IN_DOUBT,
    Frozen,
    Json,
    Outcome,
    Reason,
    Remediation,
    State,
    StepRow,
    StepState,
    Verdict,
    about_of,
)
from remediator.parts import Parts
from remediator.planning import same_action
from remediator.store import Tx

OF_AN_EARLIER_LOOK = frozenset(
    {"in_doubt", "end", "since_wall", "healthy_since", "looked_at", "settled", "between", "worse"}
)
"""What of the proof belongs to a look before something else was done, or before a person settled the outcome."""
FAILURES = frozenset({Reason.STEP_FAILED, Reason.POLICY, Reason.ACTION_CHANGED, Reason.STEP_TIMED_OUT})
"""Why a step fails; a remediation whose remaining steps were dropped for one of these has failed."""
STOPPED_BY = frozenset({Reason.POLICY, Reason.ACTION_CHANGED})
"""Why an undo may not begin; that is told as it is, all else as `undo_failed`."""


def begin_undo(
    tx: Tx,
    remediation: Remediation,
    reason: Reason,
    now: float,
    *,
    verdict: Verdict | None = None,
    detail: Json | None = None,
) -> bool:
    """Given a remediation that failed or made it worse, begin to take back what its steps declare and really did.

    Return False, with nothing changed, if there is nothing to take back, or if it is not known what was done: then the
    caller ends it. Raise IllegalMove unless it is running or verifying.
    """
    if remediation.proof.get("in_doubt") or not left_to_undo(remediation.frozen, tx.steps(remediation.id)):
        return False
    tx.set_proof(remediation.id, without_earlier_looks(remediation.proof))
    tx.move(remediation.id, State.UNDOING, reason, now, verdict=verdict, due=now, detail=detail)
    return True


def fail(
    tx: Tx,
    remediation: Remediation,
    reason: Reason,
    now: float,
    *,
    verdict: Verdict | None = None,
    detail: Json | None = None,
) -> None:
    """End a remediation that runs, or whose unknown step is settled, as failed, taking back first what is declared."""
    if remediation.state is State.UNKNOWN and left_to_undo(remediation.frozen, tx.steps(remediation.id)):
        # the way from there to undoing is through running, where nothing is begun meanwhile
        tx.move(remediation.id, State.RUNNING, reason, now)
    if not begin_undo(tx, remediation, reason, now, verdict=verdict, detail=detail):
        tx.move(remediation.id, State.FAILED, reason, now, verdict=verdict, detail=detail)


def stopped_by(remediation: Remediation, rows: Sequence[StepRow]) -> Reason | None:
    """Given every attempt so far, return the failure that kept further steps from beginning, or None."""
    if remediation.cancel in FAILURES:
        return remediation.cancel
    failed = [row for row in rows if row.state is StepState.FAILED and not row.undo]
    stopped = any(remediation.frozen.steps[row.position].on_failure == "stop" for row in failed)
    return Reason.STEP_FAILED if stopped else None


def left_to_undo(frozen: Frozen, rows: Sequence[StepRow]) -> list[StepRow]:
    """Given every attempt so far, return the steps that are still to be taken back: the last that was done first."""
    # that it was left out in the end says nothing of an attempt before
    latest = {row.position: row for row in rows if not row.undo and row.state is not StepState.SKIPPED}
    taken_back = {row.position for row in rows if row.undo and row.state is StepState.DONE}
    return [
        row
        for row in sorted(latest.values(), key=lambda row: row.id, reverse=True)
        if frozen.steps[row.position].undo
        and _touched(row, frozen.steps[row.position].idempotent)
        and row.position not in taken_back
    ]


def _touched(row: StepRow, idempotent: bool) -> bool:
    """Say whether a step changed something, or a deadline or a crash that ended it leaves that open."""
    if row.state is StepState.UNKNOWN:
        # it was to be begun again and never was; of any other a person said that it was not done
        return idempotent and row.attempt < ATTEMPTS_AT_MOST
    if row.state is StepState.FAILED and row.outcome is not None:
        return bool(row.outcome.effects) or IN_DOUBT in row.outcome.detail
    return row.state is StepState.DONE


def without_earlier_looks(proof: Json) -> Json:
    """Return what of a proof stays when something else was done: rule and baseline."""
    return {key: value for key, value in proof.items() if key not in OF_AN_EARLIER_LOOK}


def undo(parts: Parts, remediation: Remediation) -> None:
    """Given a remediation that is being undone, do the next move; on return its state and due time are stored."""
    with parts.store.read() as reader:
        rows = reader.steps(remediation.id)
    if left_over(parts, remediation, rows, _follow):
        return
    last = rows[-1]
    if last.state is not StepState.INTENT:
        if not parts.stopping.is_set():
            parts.record(remediation.frozen.steps, lambda tx: _next(parts, tx, remediation.id))
    elif lapsed(parts, last):
        # its effect is known not to have begun; a pause may have come since
        parts.record(remediation.frozen.steps, lambda tx: _take_back(tx, remediation.id, last, parts.clock.now()))
    else:
        step = remediation.frozen.steps[last.position]
        did = next(row.outcome for row in left_to_undo(remediation.frozen, rows) if row.position == last.position)
        host, outcome = remediation.frozen.target.host, did or Outcome(True, last.plan.items)
        about = about_of(remediation.frozen, remediation.id)
        take_back = partial(parts.dispatch.undo, host, step.action, last.plan, outcome, step.timeout, about=about)
        carry_out(parts, remediation, last, take_back, _follow)


def _take_back(tx: Tx, number: int, row: StepRow, now: float) -> None:
    tx.store_result(row.id, StepState.SKIPPED, None, now)
    tx.schedule("remediation", number, now)


def _next(parts: Parts, tx: Tx, number: int) -> None:
    """Store the next intent of an undo, or the end."""
    present = tx.remediation(number)
    if present is None or present.state is not State.UNDOING:
        return
    now = parts.clock.now()
    left = left_to_undo(present.frozen, tx.steps(number))
    # the pause file is read in the intent's own transaction: it counts from the moment it is written
    kept = paused(parts, present.frozen, yields=False)
    if not left:
        tx.move(number, State.UNDONE, Reason.UNDONE, now)
    elif kept is not None:
        wait(tx, present, kept, now, left[0].position)
    elif not same_action(parts, present.frozen.steps[left[0].position]):
        detail = {"step": left[0].position, "undo": True}
        tx.move(number, State.FAILED, Reason.ACTION_CHANGED, now, detail=detail)
    else:
        tx.store_intent(number, left[0].position, left[0].plan, now, undo=True)
        tx.schedule("remediation", number, now)


def _follow(tx: Tx, present: Remediation, row: StepRow, result: Result, now: float) -> None:
    """After a known result: on to the next one, or, since their order matters, no further."""
    if result.state is StepState.FAILED:
        reason = result.reason if result.reason in STOPPED_BY else Reason.UNDO_FAILED
        tx.move(present.id, State.FAILED, reason, now, detail=told(row))
    else:
        tx.schedule("remediation", present.id, now)
