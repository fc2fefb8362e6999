"""Third stage: the steps in their order, each asked about before its intent is stored. The effect itself is `effect`'s.

The order for each step: intent stored (with the previous result) → effect → result. A redo of an idempotent step has
exactly the plan stored in its intent.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from remediator.between import between_steps
from remediator.effect import Result, carry_out, lapsed, left_over, overtakes, paused, wait
from remediator.evidence import Trouble
from remediator.guards import mode, monitoring
from remediator.model import (
    Answer,
    Effect,
    Frozen,
    GuardAnswer,
    Mode,
    Occurrence,
    Plan,
    Reason,
    Remediation,
    State,
    StepRow,
    StepState,
    Verdict,
    about_of,
)
from remediator.own_silences import without_own
from remediator.parts import Parts
from remediator.planning import Planned, plan_next, same_action
from remediator.playbooks.match import withdrawn
from remediator.store import Tx
from remediator.undo import fail, stopped_by

logger = logging.getLogger(__name__)

HOLD_BETWEEN_STEPS = 120.0
"""Seconds a running remediation may be held between two steps; then its remaining steps are dropped."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What was asked about the next step before its intent is stored."""

    plan: Plan | None = None
    problem: Reason | None = None
    """Why it may not begin."""
    kept: GuardAnswer | None = None
    """What holds it back, or makes it needless."""
    asked_at: float | None = None
    """When it was asked whether it is still needed; None for a step that runs in any case."""


def run(parts: Parts, remediation: Remediation, occurrence: Occurrence) -> None:
    """Given a running remediation, do what is left of its steps; on return its state and due time are stored."""
    with parts.store.read() as reader:
        rows = reader.steps(remediation.id)
    if left_over(parts, remediation, rows, _follow):
        return
    last = rows[-1] if rows else None
    if last is not None and last.state is StepState.INTENT:
        step = remediation.frozen.steps[last.position]
        called_off = remediation.cancel is not None and not step.always
        if called_off or lapsed(parts, last):
            parts.record(remediation.frozen.steps, lambda tx: _take_back(tx, remediation, last, parts.clock.now()))
        else:
            host = remediation.frozen.target.host
            about = about_of(remediation.frozen, remediation.id)
            do = partial(parts.dispatch.run, host, step.action, last.plan, step.timeout, about=about)
            carry_out(parts, remediation, last, do, _follow)
    elif not parts.stopping.is_set():
        _next(parts, remediation, occurrence, rows)


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


def _next(parts: Parts, remediation: Remediation, occurrence: Occurrence, rows: list[StepRow]) -> None:
    """Store the next intent if everything still allows it; else end, wait, or go on to verifying."""
    frozen, position = remediation.frozen, remediation.position
    if position >= len(frozen.steps):
        _finish(parts, remediation)
        return
    step, last = frozen.steps[position], rows[-1] if rows else None
    ready = Ready()
    if (remediation.cancel is None or step.always) and paused(parts, frozen, yields=not step.always) is None:
        ready = _ready(parts, remediation, occurrence, rows)

    def store(tx: Tx) -> None:
        present = tx.remediation(remediation.id)
        if present is None or present.state is not State.RUNNING or present.position != position:
            return
        now = parts.clock.now()
        waited = now - parts.jumps.moved(_last_change(present, last))
        # the pause file is read in the intent's own transaction: it counts from the moment it is written
        kept = paused(parts, frozen, yields=not step.always) or ready.kept or _overtaken(tx, present, ready, now)
        if present.cancel is not None and not step.always:
            _drop(tx, present, position, present.cancel, now)
        elif kept is not None and kept.answer is Answer.HOLD and (step.always or waited < HOLD_BETWEEN_STEPS):
            wait(tx, present, kept, now, position)
        elif kept is not None and kept.reason is not Reason.HEALED_ALREADY:
            _drop(tx, present, position, kept.reason, now)
        elif (problem := ready.problem or _taken_away(parts, tx, frozen, rows)) is not None:
            _refuse(tx, present, position, problem, now)
        elif kept is None and ready.plan is None:
            # a pause or a cancel that ended just now: nothing was asked yet
            tx.schedule("remediation", present.id, now)
        elif kept is not None or ready.plan is None or not ready.plan.items:
            tx.skip_step(present.id, position, Reason.NOTHING_TO_DO if kept is None else kept.reason, now)
            tx.advance(present.id, position + 1)
            tx.schedule("remediation", present.id, now)
        else:
            tx.store_intent(present.id, position, ready.plan, now)

    parts.reached("before_intent")
    parts.record(frozen.steps, store)


def _ready(parts: Parts, remediation: Remediation, occurrence: Occurrence, rows: list[StepRow]) -> Ready:
    """Ask everything there is to ask about the next step."""
    frozen, position = remediation.frozen, remediation.position
    step = frozen.steps[position]
    if step.unless_healed and (judged := between_steps(parts, remediation, rows)) is not None:
        return Ready(kept=judged)
    stored = [row.plan for row in rows if row.position == position and _is_bound(frozen, row)]
    # planned first, because it may take its time: the live answer should be the newest
    planned = _prepare(parts, remediation, stored[-1] if stored else None)
    if step.always or step.effect is Effect.READ_ONLY:
        return Ready(planned.plan, planned.problem)
    kept, asked_at = _still_needed(parts, remediation, occurrence, rows)
    return Ready(planned.plan, planned.problem, kept, asked_at)


def _taken_away(parts: Parts, tx: Tx, frozen: Frozen, rows: list[StepRow]) -> Reason | None:
    """Return why what was allowed may not begin any more: its rung, its file or `highest_mode` is lower by now.

    What has begun goes on to its end.
    """
    if any(row.state is not StepState.SKIPPED for row in rows):
        return None
    rung, in_force = tx.rung(frozen.playbook, frozen.digest), parts.in_force(frozen.playbook)
    return mode.taken_away(frozen, rung, withdrawn(in_force, frozen, parts.site))


def _is_bound(frozen: Frozen, row: StepRow) -> bool:
    """Say whether this attempt's plan, and no newer one, is what the step may begin with again."""
    # an intent that was taken back holds the plan that a person approved
    approved = frozen.mode is Mode.APPROVE and row.position == 0 and row.state is StepState.SKIPPED
    return row.state is StepState.UNKNOWN or (approved and bool(row.plan.items))


def _drop(tx: Tx, remediation: Remediation, position: int, reason: Reason, now: float) -> None:
    """Leave out the remaining steps, except those marked `always`; what was done is judged by verifying."""
    steps = remediation.frozen.steps
    following = next((n for n in range(position, len(steps)) if steps[n].always), len(steps))
    for dropped in range(position, following):
        tx.skip_step(remediation.id, dropped, reason, now)
    tx.advance(remediation.id, following)
    tx.schedule("remediation", remediation.id, now)


def _refuse(tx: Tx, remediation: Remediation, position: int, problem: Reason, now: float) -> None:
    """A step may not begin: it has failed, and what must always run after it still does."""
    if remediation.frozen.steps[position].always or not _always_follows(remediation, position):
        fail(tx, remediation, problem, now, detail={"step": position})
        return
    tx.set_cancel(remediation.id, problem, now)
    _drop(tx, remediation, position, problem, now)


def _always_follows(remediation: Remediation, position: int) -> bool:
    return any(later.always for later in remediation.frozen.steps[position + 1 :])


def _prepare(parts: Parts, remediation: Remediation, stored: Plan | None) -> Planned:
    """Return the plan for the next intent (the stored one when redoing), or why the step may not begin."""
    if stored is not None and same_action(parts, remediation.frozen.steps[remediation.position]):
        return Planned(stored)
    return plan_next(parts, remediation, "run")


def _still_needed(
    parts: Parts, remediation: Remediation, occurrence: Occurrence, rows: list[StepRow]
) -> tuple[GuardAnswer | None, float | None]:
    """Return why the next step should not begin now, or None: it is still needed; and when that was asked."""
    frozen = remediation.frozen
    rule = parts.evidence.question(frozen)
    if isinstance(rule, Trouble):
        return GuardAnswer("still_firing", Answer.HOLD, rule.reason), None
    # silence, inhibition and resolve are never taken from an answer older than our last effect on the target
    with parts.store.read() as reader:
        effect = reader.last_effect_end(str(frozen.target))
    last = _last_change(remediation, rows[-1] if rows else None)
    if (told := monitoring.known_against(parts.monitoring(frozen))) is not None:
        # what it says of the alert itself is worth nothing then
        return GuardAnswer(monitoring.name, Answer.HOLD, told[0], told[1]), None
    newer_than = max(occurrence.received_at, last, min(effect or 0.0, parts.clock.now()))
    live = without_own(parts.evidence.live(rule, frozen.labels, frozen.fingerprint, newer_than), rows)
    reason = None
    if live.firing is None or live.blind:
        reason = Reason.BLIND
    elif not live.firing:
        return GuardAnswer("still_firing", Answer.DENY, Reason.RESOLVED), live.asked_at
    elif live.silenced_by or live.inhibited_by:
        reason = Reason.SILENCED if live.silenced_by else Reason.INHIBITED
    return None if reason is None else GuardAnswer("still_firing", Answer.HOLD, reason), live.asked_at


def _overtaken(tx: Tx, remediation: Remediation, ready: Ready, now: float) -> GuardAnswer | None:
    """Return a hold if another remediation acted on the target since it was asked: that answer is worth nothing."""
    if ready.asked_at is None:
        return None
    ended = tx.last_effect_end(str(remediation.frozen.target))
    if not overtakes(ended, ready.asked_at, now):
        return None
    return GuardAnswer("still_firing", Answer.HOLD, Reason.LOCKED)


def _last_change(remediation: Remediation, last: StepRow | None) -> float:
    if last is not None:
        return last.ended_at or last.intent_at
    return remediation.started_at or remediation.created_at


def _follow(tx: Tx, present: Remediation, row: StepRow, result: Result, now: float) -> None:
    """After a known result: on to the next step, or to the end."""
    position = row.position
    tx.advance(present.id, position + 1)
    if result.state is StepState.FAILED and present.frozen.steps[position].on_failure == "stop":
        if not _always_follows(present, position):
            fail(tx, present, result.reason, now, detail={"step": position})
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
    rows = tx.steps(remediation.id)
    failed = [row for row in rows if row.state is StepState.FAILED]
    if (stopped := stopped_by(remediation, rows)) is not None:
        fail(tx, remediation, stopped, now)
    elif not any(row.state in (StepState.DONE, StepState.UNKNOWN) for row in rows):
        # there is no effect whose success could be claimed
        tx.move(remediation.id, State.FAILED, Reason.STEP_FAILED if failed else Reason.NOTHING_TO_DO, now)
    elif remediation.frozen.verify is None:
        # running → succeeded is no move: a remediation without proof passes through verifying at once
        tx.move(remediation.id, State.VERIFYING, Reason.PROOF_NOT_ASKED, now)
        tx.move(remediation.id, State.SUCCEEDED, Reason.PROOF_NOT_ASKED, now, verdict=Verdict.NOT_ASKED)
    else:
        tx.move(remediation.id, State.VERIFYING, Reason.ALLOWED, now, due=now)
