"""One effect: what a stored intent says is done, once, and what became of it is stored. What is in doubt is `unknown`.

The order is: intent stored → effect → result. After a crash only an idempotent action is begun again, with exactly the
plan of its intent. Intents of an undo obey the same rule.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remediator.errors import ActionFailed, OutcomeUnknown, Refused, StoreUnavailable
from remediator.model import (
    IN_DOUBT,
    Answer,
    Frozen,
    FrozenStep,
    GuardAnswer,
    Outcome,
    Reason,
    Remediation,
    State,
    StepRow,
    StepState,
)
from remediator.parts import JUMP, Parts, Unsaved
from remediator.planning import same_action
from remediator.store import Mark, Tx

logger = logging.getLogger(__name__)

ASK_AGAIN = 2.0
"""Seconds between two looks while a step is held back."""
INTENT_FRESH = 5.0
"""Seconds after which an intent whose effect has not begun is taken back: what allowed it is too long ago."""
ATTEMPTS_AT_MOST = 3
"""Times an idempotent step is begun whose outcome stays open: what ends the process each time must not go on."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one attempt at a step."""

    state: StepState
    outcome: Outcome | None
    reason: Reason


Follow = Callable[[Tx, Remediation, StepRow, Result, float], None]
"""What a result leads to, in the transaction that stores it: given the remediation as it stands then."""


def left_over(parts: Parts, remediation: Remediation, rows: Sequence[StepRow], follow: Follow) -> bool:
    """Settle what an earlier turn left: a result not stored, or an effect whose thread died. Say whether there was any.

    Where that leads stands in the store then, no longer in `remediation`.
    """
    unsaved = parts.unsaved.get(remediation.id)
    if unsaved is not None:
        # an effect whose result could not be stored: nothing else happens to its target before it is
        result = Result(unsaved.state, unsaved.outcome, Reason(unsaved.reason))
        _save(parts, remediation, unsaved.step_id, result, follow)
        return True
    last = rows[-1] if rows else None
    if last is None or last.state is not StepState.INTENT or last.id not in parts.begun:
        return False
    # its thread died under it, so its outcome is as open as after a crash
    parts.record(remediation.frozen.steps, lambda tx: _doubt(tx, remediation, last, parts.clock.now()))
    parts.begun.discard(last.id)
    return True


def recover(tx: Tx, now: float) -> int:
    """At start, before anything runs: settle every intent that a former process left open. Return how many."""
    open_intents = tx.open_intents()
    for remediation_id, row in open_intents:
        remediation = tx.remediation(remediation_id)
        if remediation is not None:
            _doubt(tx, remediation, row, now)
    return len(open_intents)


def _doubt(tx: Tx, remediation: Remediation, row: StepRow, now: float) -> None:
    """Record that an effect may or may not have taken place; only an idempotent one is made ready again."""
    tx.store_result(row.id, StepState.UNKNOWN, None, now)
    if remediation.frozen.steps[row.position].idempotent and row.attempt < ATTEMPTS_AT_MOST:
        tx.schedule("remediation", remediation.id, now)
    else:
        tx.move(remediation.id, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now, due=now, detail=told(row))


def told(row: StepRow) -> dict[str, object]:
    """Return which step a move speaks of."""
    return {"step": row.position, "undo": True} if row.undo else {"step": row.position}


def wait(tx: Tx, remediation: Remediation, kept: GuardAnswer, now: float, position: int) -> None:
    """Look again soon; that something keeps the step back is told once."""
    if remediation.until is None:
        detail = {"step": position, "waits": True}
        tx.add_event("step", now, remediation_id=remediation.id, reason=kept.reason, detail=detail)
    tx.prolong(remediation.id, now + ASK_AGAIN)


def paused(parts: Parts, frozen: Frozen, *, yields: bool) -> GuardAnswer | None:
    """Return the pause or window that keeps a step back; one that does not yield waits only for a hard pause."""
    pause = parts.pause(frozen)
    if pause is not None and (yields or pause.hard):
        return GuardAnswer("pause", Answer.HOLD, Reason.PAUSED)
    if yields and parts.window(frozen) is not None:
        return GuardAnswer("window", Answer.HOLD, Reason.WINDOW)
    return None


def overtakes(ended: float | None, asked_at: float, now: float) -> bool:
    """Say whether an effect that ended then (inf: it goes on, None: there is none) came after what was asked.

    An end well ahead of us was before the clock was set back, and so before anything that was asked since.
    """
    if ended is None or ended <= asked_at:
        return False
    return not (math.isfinite(ended) and asked_at <= now < ended - JUMP)


def lapsed(parts: Parts, row: StepRow) -> bool:
    """Say whether the effect of an intent may no longer begin: what allowed it is too long ago, or we are ending."""
    return parts.stopping.is_set() or parts.clock.now() - row.intent_at > INTENT_FRESH


def carry_out(parts: Parts, remediation: Remediation, row: StepRow, do: Callable[[], Outcome], follow: Follow) -> None:
    """Do what the stored intent `row` says, and store what became of it."""
    parts.reached("intent_stored")
    parts.begun.add(row.id)
    result = _do(parts, remediation, remediation.frozen.steps[row.position], do)
    parts.reached("effect_done")
    _save(parts, remediation, row.id, result, follow)
    parts.reached("result_stored")


def _do(parts: Parts, remediation: Remediation, step: FrozenStep, do: Callable[[], Outcome]) -> Result:
    if not same_action(parts, step):
        return Result(StepState.FAILED, None, Reason.ACTION_CHANGED)
    try:
        outcome = do()
    except Refused as error:
        return Result(StepState.FAILED, Outcome(False, (), {"refused": error.detail}), Reason.POLICY)
    except ActionFailed as error:
        return Result(StepState.FAILED, Outcome(False, (), {"error": str(error)}), Reason.STEP_FAILED)
    except OutcomeUnknown as error:
        return _half_done(step, str(error), Reason.STEP_TIMED_OUT, Reason.OUTCOME_UNKNOWN)
    except Exception as error:
        # the border of foreign code: what an action did before it broke is not known
        logger.exception("action broke", extra={"action": step.action, "remediation": remediation.id})
        parts.counters.count("stage_errors", stage="run")
        return _half_done(step, error.__class__.__name__, Reason.STEP_FAILED, Reason.STEP_FAILED)
    if outcome.ok:
        return Result(StepState.DONE, outcome, Reason.ALLOWED)
    return Result(StepState.FAILED, outcome, Reason.STEP_FAILED)


def _half_done(step: FrozenStep, error: str, failed: Reason, unknown: Reason) -> Result:
    """Whatever it did, an idempotent step may be called failed: done again it does the same."""
    if step.idempotent:
        return Result(StepState.FAILED, Outcome(False, (), {"error": error, IN_DOUBT: True}), failed)
    return Result(StepState.UNKNOWN, Outcome(False, (), {"error": error}), unknown)


def _save(parts: Parts, remediation: Remediation, step_id: int, result: Result, follow: Follow) -> None:
    try:
        parts.record(
            remediation.frozen.steps,
            lambda tx: _store(tx, remediation.id, step_id, result, follow, parts.clock.now()),
        )
    except StoreUnavailable:
        parts.unsaved[remediation.id] = Unsaved(step_id, result.state, result.outcome, result.reason.value)
        raise
    parts.unsaved.pop(remediation.id, None)
    parts.begun.discard(step_id)


def _store(tx: Tx, number: int, step_id: int, result: Result, follow: Follow, now: float) -> None:
    """Store the result and where it leads, in one transaction."""
    row = next((each for each in tx.steps(number) if each.id == step_id), None)
    if row is None or row.state is not StepState.INTENT:
        # a commit that was reported as failed had been made after all
        return
    tx.store_result(step_id, result.state, result.outcome, now)
    present = tx.remediation(number)
    if present is not None and result.outcome is not None:
        marks = [wanted for wanted in result.outcome.rows if wanted.get("kind") == "mark"]
        for wanted in marks:
            tx.add_mark(Mark(present.frozen.playbook, str(present.frozen.target), str(wanted.get("text")), now))
    if present is None or present.state not in (State.RUNNING, State.UNDOING):
        return
    if result.state is StepState.UNKNOWN:
        tx.move(number, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now, due=now, detail=told(row))
    else:
        follow(tx, present, row, result, now)
