"""Third stage: the effect, once. An intent is committed before each effect; what happened is recorded, or is unknown.

The order for each step: intent stored (with the previous result) → effect → result. Whatever is in doubt after a crash
is `unknown`, except for idempotent actions, which are redone with exactly the plan stored in their intent.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from remediator.errors import ActionFailed, OutcomeUnknown, Refused, StoreUnavailable
from remediator.evidence import Trouble
from remediator.model import (
    Answer,
    Effect,
    FrozenStep,
    GuardAnswer,
    Occurrence,
    Outcome,
    Plan,
    Reason,
    Remediation,
    State,
    StepRow,
    StepState,
    Verdict,
)
from remediator.parts import Parts, Unsaved
from remediator.store import Tx

logger = logging.getLogger(__name__)

ASK_AGAIN = 2.0
"""Seconds between two looks while a step is held back."""
HOLD_BETWEEN_STEPS = 120.0
"""Seconds a running remediation may be held between two steps; then its remaining steps are dropped."""
INTENT_FRESH = 5.0
"""Seconds after which an intent whose effect has not begun is taken back: what allowed it is too long ago."""
ATTEMPTS_AT_MOST = 3
"""Times an idempotent step is begun whose outcome stays open: what ends the process each time must not go on."""
FAILURES = frozenset({Reason.STEP_FAILED, Reason.POLICY, Reason.ACTION_CHANGED, Reason.STEP_TIMED_OUT})
"""Why a step fails; a remediation whose remaining steps were dropped for one of these has failed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one attempt at a step."""

    state: StepState
    outcome: Outcome | None
    reason: Reason


def run(parts: Parts, remediation: Remediation, occurrence: Occurrence) -> None:
    """Given a running remediation, do what is left of its steps; on return its state and due time are stored."""
    unsaved = parts.unsaved.get(remediation.id)
    if unsaved is not None:
        # an effect whose result could not be stored: nothing else happens to its target before it is
        _save(parts, remediation, unsaved.step_id, Result(unsaved.state, unsaved.outcome, Reason(unsaved.reason)))
        # where that leads stands in the store now, no longer in `remediation`
        return
    with parts.store.read() as reader:
        steps = reader.steps(remediation.id)
    last = steps[-1] if steps else None
    if last is not None and last.state is StepState.INTENT and last.id in parts.begun:
        # its thread died under it, so its outcome is as open as after a crash
        parts.record(remediation.frozen.steps, lambda tx: doubt(tx, remediation, last, parts.clock.now()))
        parts.begun.discard(last.id)
    elif last is not None and last.state is StepState.INTENT:
        called_off = remediation.cancel is not None and not remediation.frozen.steps[last.position].always
        if called_off or parts.clock.now() - last.intent_at > INTENT_FRESH:
            parts.record(remediation.frozen.steps, lambda tx: _take_back(tx, remediation, last, parts.clock.now()))
        else:
            _effect(parts, remediation, last)
    elif not parts.stopping.is_set():
        _next(parts, remediation, occurrence, steps)


def recover(tx: Tx, now: float) -> int:
    """At start, before anything runs: settle every intent that a former process left open. Return how many."""
    open_intents = tx.open_intents()
    for remediation_id, step in open_intents:
        remediation = tx.remediation(remediation_id)
        if remediation is not None:
            doubt(tx, remediation, step, now)
    return len(open_intents)


def doubt(tx: Tx, remediation: Remediation, step: StepRow, now: float) -> None:
    """Record that `step` may or may not have taken effect; only an idempotent one is made ready again."""
    tx.store_result(step.id, StepState.UNKNOWN, None, now)
    if remediation.frozen.steps[step.position].idempotent and step.attempt < ATTEMPTS_AT_MOST:
        tx.schedule("remediation", remediation.id, now)
    else:
        tx.move(remediation.id, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now, due=now, detail={"step": step.position})


def _take_back(tx: Tx, remediation: Remediation, step: StepRow, now: float) -> None:
    """Leave out an intent whose effect is known not to have begun; everything is asked anew before the next one."""
    present = tx.remediation(remediation.id)
    if present is None or present.state is not State.RUNNING:
        return
    tx.store_result(step.id, StepState.SKIPPED, None, now)
    if present.cancel is not None and all(row.state is StepState.SKIPPED for row in tx.steps(present.id)):
        tx.move(present.id, State.CANCELLED, present.cancel, now)
    else:
        tx.schedule("remediation", present.id, now)


def _next(parts: Parts, remediation: Remediation, occurrence: Occurrence, steps: list[StepRow]) -> None:
    """Store the next intent if everything still allows it; else end, wait, or go on to verifying."""
    frozen, position = remediation.frozen, remediation.position
    if position >= len(frozen.steps):
        _finish(parts, remediation)
        return
    step, last = frozen.steps[position], steps[-1] if steps else None
    in_doubt = [row.plan for row in steps if row.position == position and row.state is StepState.UNKNOWN]
    plan, problem, held = None, None, None
    if (remediation.cancel is None or step.always) and _paused(parts, step) is None:
        # planned first, because it may take its time: the live answer should be the newest
        plan, problem = _prepare(parts, frozen.target.host, step, in_doubt[-1] if in_doubt else None)
        held = _not_needed(parts, remediation, occurrence, step, last)

    def store(tx: Tx) -> None:
        present = tx.remediation(remediation.id)
        if present is None or present.state is not State.RUNNING or present.position != position:
            return
        now = parts.clock.now()
        waited = now - parts.jumps.moved(_last_change(present, last))
        # the pause file is read in the intent's own transaction: it counts from the moment it is written
        kept = _paused(parts, step) or held
        if present.cancel is not None and not step.always:
            _drop(tx, present, position, present.cancel, now)
        elif kept is not None and kept.answer is Answer.HOLD and (step.always or waited < HOLD_BETWEEN_STEPS):
            _wait(tx, present, kept, now)
        elif kept is not None:
            _drop(tx, present, position, kept.reason, now)
        elif problem is not None:
            tx.move(present.id, State.FAILED, problem, now, detail={"step": position})
        elif plan is None:
            # a pause or a cancel that ended just now: nothing was asked yet
            tx.schedule("remediation", present.id, now)
        elif not plan.items:
            tx.skip_step(present.id, position, Reason.NOTHING_TO_DO, now)
            tx.advance(present.id, position + 1)
            tx.schedule("remediation", present.id, now)
        else:
            tx.store_intent(present.id, position, plan, now)

    parts.record(frozen.steps, store)


def _wait(tx: Tx, remediation: Remediation, kept: GuardAnswer, now: float) -> None:
    """Look again soon; that something keeps the step back is told once."""
    if remediation.until is None:
        detail = {"step": remediation.position, "waits": True}
        tx.add_event("step", now, remediation_id=remediation.id, reason=kept.reason, detail=detail)
    tx.prolong(remediation.id, now + ASK_AGAIN)


def _drop(tx: Tx, remediation: Remediation, position: int, reason: Reason, now: float) -> None:
    """Leave out the remaining steps, except those marked `always`; what was done is judged by verifying."""
    steps = remediation.frozen.steps
    following = next((n for n in range(position, len(steps)) if steps[n].always), len(steps))
    for dropped in range(position, following):
        tx.skip_step(remediation.id, dropped, reason, now)
    tx.advance(remediation.id, following)
    tx.schedule("remediation", remediation.id, now)


def _prepare(parts: Parts, host: str, step: FrozenStep, stored: Plan | None) -> tuple[Plan | None, Reason | None]:
    """Return the plan for the next intent (the stored one when redoing), or why the step may not begin."""
    action = parts.actions.get(step.action)
    if action is None or action.version != step.version:
        return None, Reason.ACTION_CHANGED
    if stored is not None:
        return stored, None
    try:
        return parts.dispatch.plan(host, step.action, step.arguments, step.timeout), None
    except Refused:
        return None, Reason.POLICY
    except Exception:
        # the border to foreign code: whatever broke in planning, the remediation must come to an end
        logger.exception("planning broke", extra={"action": step.action})
        parts.counters.count("stage_errors", stage="run")
        return None, Reason.STEP_FAILED


def _paused(parts: Parts, step: FrozenStep) -> GuardAnswer | None:
    """Return the pause that keeps this step back, or None: one marked `always` yields only to a hard one."""
    pause = parts.pause()
    if pause is None or (step.always and not pause.hard):
        return None
    return GuardAnswer("pause", Answer.HOLD, Reason.PAUSED)


def _not_needed(
    parts: Parts, remediation: Remediation, occurrence: Occurrence, step: FrozenStep, last: StepRow | None
) -> GuardAnswer | None:
    """Return why the next step should not begin now, or None: it is still needed, or runs in any case."""
    if step.always or step.effect is Effect.READ_ONLY:
        return None
    frozen = remediation.frozen
    rule = parts.evidence.rule_for(frozen.labels.get("alertname", ""), frozen.labels, frozen.generator_url)
    if isinstance(rule, Trouble):
        return GuardAnswer("still_firing", Answer.HOLD, rule.reason)
    # silence, inhibition and resolve are never taken from an answer older than our last effect on the target
    newer_than = max(occurrence.received_at, _last_change(remediation, last))
    live = parts.evidence.live(rule, frozen.labels, frozen.fingerprint, newer_than)
    if live.firing is None or live.blind:
        return GuardAnswer("still_firing", Answer.HOLD, Reason.BLIND)
    if not live.firing:
        return GuardAnswer("still_firing", Answer.DENY, Reason.RESOLVED)
    if live.silenced_by or live.inhibited_by:
        return GuardAnswer("still_firing", Answer.HOLD, Reason.SILENCED if live.silenced_by else Reason.INHIBITED)
    return None


def _last_change(remediation: Remediation, last: StepRow | None) -> float:
    if last is not None:
        return last.ended_at or last.intent_at
    return remediation.started_at or remediation.created_at


def _effect(parts: Parts, remediation: Remediation, step: StepRow) -> None:
    """Do what the stored intent says, and store what became of it."""
    parts.reached("intent_stored")
    frozen = remediation.frozen.steps[step.position]
    parts.begun.add(step.id)
    result = _do(parts, remediation, frozen, step.plan)
    parts.reached("effect_done")
    _save(parts, remediation, step.id, result)
    parts.reached("result_stored")


def _do(parts: Parts, remediation: Remediation, step: FrozenStep, plan: Plan) -> Result:
    action = parts.actions.get(step.action)
    if action is None or action.version != step.version:
        return Result(StepState.FAILED, None, Reason.ACTION_CHANGED)
    try:
        outcome = parts.dispatch.run(remediation.frozen.target.host, step.action, plan, step.timeout)
    except Refused as error:
        return Result(StepState.FAILED, Outcome(False, (), {"refused": error.detail}), Reason.POLICY)
    except ActionFailed as error:
        return Result(StepState.FAILED, Outcome(False, (), {"error": str(error)}), Reason.STEP_FAILED)
    except OutcomeUnknown as error:
        state = StepState.FAILED if step.idempotent else StepState.UNKNOWN
        reason = Reason.STEP_TIMED_OUT if step.idempotent else Reason.OUTCOME_UNKNOWN
        return Result(state, Outcome(False, (), {"error": str(error)}), reason)
    except Exception as error:
        # the border of foreign code: what an action did before it broke is not known
        logger.exception("action broke", extra={"action": step.action, "remediation": remediation.id})
        parts.counters.count("stage_errors", stage="run")
        state = StepState.FAILED if step.idempotent else StepState.UNKNOWN
        return Result(state, Outcome(False, (), {"error": error.__class__.__name__}), Reason.STEP_FAILED)
    if outcome.ok:
        return Result(StepState.DONE, outcome, Reason.ALLOWED)
    return Result(StepState.FAILED, outcome, Reason.STEP_FAILED)


def _save(parts: Parts, remediation: Remediation, step_id: int, result: Result) -> None:
    try:
        parts.record(
            remediation.frozen.steps,
            lambda tx: _store_result(tx, remediation, step_id, result, parts.clock.now()),
        )
    except StoreUnavailable:
        parts.unsaved[remediation.id] = Unsaved(step_id, result.state, result.outcome, result.reason.value)
        raise
    parts.unsaved.pop(remediation.id, None)
    parts.begun.discard(step_id)


def _store_result(tx: Tx, remediation: Remediation, step_id: int, result: Result, now: float) -> None:
    """Store the result and where it leads, in one transaction."""
    if any(row.id == step_id and row.state is not StepState.INTENT for row in tx.steps(remediation.id)):
        # a commit that was reported as failed had been made after all
        return
    tx.store_result(step_id, result.state, result.outcome, now)
    present = tx.remediation(remediation.id)
    if present is None or present.state is not State.RUNNING:
        return
    position = present.position
    step = present.frozen.steps[position]
    if result.state is StepState.UNKNOWN:
        tx.move(present.id, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now, due=now, detail={"step": position})
        return
    tx.advance(present.id, position + 1)
    if result.state is StepState.FAILED and step.on_failure == "stop":
        rest = present.frozen.steps[position + 1 :]
        if not any(later.always for later in rest):
            tx.move(present.id, State.FAILED, result.reason, now, detail={"step": position})
            return
        tx.set_cancel(present.id, result.reason, now)
    if position + 1 >= len(present.frozen.steps):
        _end_of_steps(tx, present, now)
    else:
        tx.schedule("remediation", present.id, now)


def _finish(parts: Parts, remediation: Remediation) -> None:
    def end(tx: Tx) -> None:
        present = tx.remediation(remediation.id)
        if present is not None and present.state is State.RUNNING:
            _end_of_steps(tx, present, parts.clock.now())

    parts.record(remediation.frozen.steps, end)


def _end_of_steps(tx: Tx, remediation: Remediation, now: float) -> None:
    """All effects ended: gather proof, unless the playbook says it cannot be asked for."""
    steps = tx.steps(remediation.id)
    failed = [row for row in steps if row.state is StepState.FAILED]
    if any(remediation.frozen.steps[row.position].on_failure == "stop" for row in failed):
        reason = remediation.cancel if remediation.cancel in FAILURES else Reason.STEP_FAILED
        tx.move(remediation.id, State.FAILED, reason, now)
    elif not any(row.state in (StepState.DONE, StepState.UNKNOWN) for row in steps):
        # there is no effect whose success could be claimed
        tx.move(remediation.id, State.FAILED, Reason.STEP_FAILED if failed else Reason.NOTHING_TO_DO, now)
    elif remediation.frozen.verify is None:
        # running → succeeded is no move: a remediation without proof passes through verifying at once
        tx.move(remediation.id, State.VERIFYING, Reason.PROOF_NOT_ASKED, now)
        tx.move(remediation.id, State.SUCCEEDED, Reason.PROOF_NOT_ASKED, now, verdict=Verdict.NOT_ASKED)
    else:
        tx.move(remediation.id, State.VERIFYING, Reason.ALLOWED, now, due=now)
