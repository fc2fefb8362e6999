"""Second stage, second half: gather facts, ask the guards, and store the decision with the first intent.

`gather.py` asks the world; the decision itself is one writer transaction: two workers never pass one limit together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from remediator.diagnose import Occasion, diagnose
from remediator.effect import overtakes
from remediator.gather import Gathered, gather
from remediator.guards import approval, ask_all, combine, would_have
from remediator.ladder import climb_on
from remediator.model import (
    Answer,
    ApprovalState,
    Frozen,
    GuardAnswer,
    History,
    Json,
    Mode,
    Occurrence,
    Plan,
    Reason,
    Remediation,
    State,
    StepState,
    Verdict,
)
from remediator.parts import SUPPRESSED_LOOK, Parts, past
from remediator.playbooks.match import withdrawn
from remediator.store import Tx
from remediator.undo import fail

SUPPRESSED = (Reason.SILENCED.value, Reason.INHIBITED.value)
"""Holds whose end somebody else decides."""
LOOKS = 4
"""Times one decision is looked at anew, because of probes or of what others did to the target meanwhile."""
LOOK_AGAIN = 1.0
"""Seconds after which it is looked at again then."""
STOPPED_LOOK = 30.0
"""Seconds after which what a person settled is asked again while monitoring is stopped."""
LEAST_HOLD = 0.05
"""Seconds between two questions of a held remediation, whatever a guard says."""


def decide(parts: Parts, remediation: Remediation, occurrence: Occurrence, now: float) -> None:
    """Given a pending or held remediation, store the decision; when allowed, the lock and the first intent with it."""
    if remediation.cancel is not None:
        reason = remediation.cancel
        parts.record(remediation.frozen.steps, lambda tx: tx.move(remediation.id, State.CANCELLED, reason, now))
        return
    newer_than, looked = occurrence.received_at, not remediation.frozen.diagnose
    for _ in range(LOOKS):
        gathered = gather(parts, remediation, newer_than, parts.clock.now())
        parts.reached("before_intent")
        again = parts.record(
            remediation.frozen.steps, partial(_decide, parts, remediation=remediation, gathered=gathered, looked=looked)
        )
        if again is None:
            return
        if again.occasion is not None:
            diagnose(parts, remediation.id, remediation.frozen, again.occasion)
            looked = True
            if again.occasion is Occasion.HOLD:
                return
        # asked again after all that was done meanwhile, and after the probes
        newer_than = parts.clock.now() if again.occasion is not None else again.newer_than
    # somebody acts upon the target all the while
    parts.record(
        remediation.frozen.steps, lambda tx: tx.schedule("remediation", remediation.id, parts.clock.now() + LOOK_AGAIN)
    )


@dataclass(frozen=True, slots=True)
class Again:
    """Nothing was begun yet: it is to be decided again, on newer answers, perhaps after its probes."""

    newer_than: float
    occasion: Occasion | None = None


def _decide(parts: Parts, tx: Tx, remediation: Remediation, gathered: Gathered, looked: bool) -> Again | None:
    """Store what follows, or return what must be done before: probes, unless it was `looked`, or a newer answer."""
    now = parts.clock.now()
    present = tx.remediation(remediation.id)
    if present is None or present.state not in (State.PENDING, State.HELD):
        return None
    if present.cancel is not None:
        tx.move(present.id, State.CANCELLED, present.cancel, now)
        return None
    if tx.monitoring_stopped(now) is not None:
        # while the world was asked; what is stopped begins nothing
        tx.move(present.id, State.SKIPPED, Reason.MONITORING_STOPPED, now)
        return None
    history = past(parts, tx, present, now)
    answers, decision = _ask(parts, present, gathered, history, now)
    if not any(answer.reason is Reason.LOCKED for answer in answers):
        # whoever waits for the lock is asked anew when it is free
        live, effect = gathered.facts.live, tx.last_effect_end(str(present.frozen.target))
        if live is not None and effect is not None and overtakes(effect, live.asked_at, now):
            return Again(min(effect, now))
    occasion = None if looked else _occasion(present.frozen, gathered, decision)
    if occasion is not None:
        return Again(now, occasion)
    if decision.answer is not Answer.HOLD or (present.state, present.reason) != (State.HELD, decision.reason):
        # the same hold going on is not another decision: a long pause would fill the disk with them
        tx.add_decision(present.id, answers, now)
    _follow(tx, present, gathered, answers, decision, now)
    if decision.answer is not Answer.ALLOW or present.frozen.mode is Mode.OBSERVE:
        climb_on(tx, present, now)
    held = decision.answer is Answer.HOLD and present.state is State.PENDING
    return Again(now, Occasion.HOLD) if held and not looked and present.frozen.mode is not Mode.OBSERVE else None


def _occasion(frozen: Frozen, gathered: Gathered, decision: GuardAnswer) -> Occasion | None:
    """Return why the probes are to be run before this decision is stored, or None."""
    if frozen.mode is Mode.OBSERVE:
        return Occasion.OBSERVE
    begins = decision.answer is Answer.ALLOW and gathered.trouble is None and gathered.plan is not None
    return Occasion.BEFORE if begins and gathered.plan is not None and gathered.plan.items else None


def _ask(
    parts: Parts, remediation: Remediation, gathered: Gathered, history: History, now: float
) -> tuple[tuple[GuardAnswer, ...], GuardAnswer]:
    frozen = remediation.frozen
    in_force = parts.in_force(frozen.playbook)
    facts = replace(
        gathered.facts,
        # read here, in the intent's own transaction: pause files and playbooks count from the moment they are new
        pause=parts.pause(frozen),
        window=parts.window(frozen),
        digest_in_force=None if in_force is None else in_force.digest,
        withdrawn=withdrawn(in_force, frozen, parts.site),
    )
    request = history.approval
    if request is not None and request.decided_at is not None and facts.held_since is not None:
        # the time that a person took to answer is no time of being silenced or blind
        facts = replace(facts, held_since=max(facts.held_since, request.decided_at))
    answers = ask_all(frozen, facts, history, now)
    return answers, combine(answers)


def _follow(
    tx: Tx,
    present: Remediation,
    gathered: Gathered,
    answers: tuple[GuardAnswer, ...],
    decision: GuardAnswer,
    now: float,
) -> None:
    frozen = present.frozen
    if frozen.mode is Mode.OBSERVE:
        tx.move(present.id, State.OBSERVED, Reason.OBSERVE_MODE, now, detail=_observed(answers, gathered))
    elif decision.answer is Answer.DENY:
        verdict = _self_resolved(frozen, gathered) if decision.reason is Reason.SELF_RESOLVED else None
        tx.move(present.id, State.SKIPPED, decision.reason, now, verdict=verdict, detail=decision.detail)
        if decision.detail.get("held_for") in SUPPRESSED:
            # who sent it may not send it again when the silence is over
            tx.schedule("occurrence", present.occurrence_id, now + SUPPRESSED_LOOK)
    elif decision.answer is Answer.HOLD:
        _hold(tx, present, _asking_people(tx, present, gathered, decision, now), now)
    elif gathered.trouble is not None:
        tx.move(present.id, State.SKIPPED, gathered.trouble.reason, now, detail=gathered.trouble.detail)
    elif gathered.plan is None or not gathered.plan.items:
        tx.move(present.id, State.SKIPPED, Reason.NOTHING_TO_DO, now)
    elif (holder := tx.take_lock(frozen.lock_key, present.id)) is not None:
        locked = GuardAnswer("lock", Answer.HOLD, Reason.LOCKED, {"remediation": holder}, now + 1.0)
        _hold(tx, present, locked, now)
    else:
        tx.begin_trial(present.id, frozen.playbook, now)
        tx.move(present.id, State.RUNNING, Reason.ALLOWED, now, due=now)
        tx.set_proof(present.id, gathered.proof)
        tx.store_intent(present.id, 0, gathered.plan, now)


def _self_resolved(frozen: Frozen, gathered: Gathered) -> Verdict:
    """Gone before any effect of ours: proven healthy, or only no longer firing."""
    if gathered.proof.get("healthy_before"):
        return Verdict.SELF_RESOLVED
    return Verdict.NOT_ASKED if frozen.verify is None else Verdict.UNPROVEN


def try_out(
    parts: Parts, remediation: Remediation, now: float
) -> tuple[tuple[GuardAnswer, ...], GuardAnswer, Plan | None]:
    """Given a remediation that is not stored, return every guard's answer, what follows from them, and the plan."""
    gathered = gather(parts, remediation, now, now)
    with parts.store.read() as reader:
        answers, decision = _ask(parts, remediation, gathered, past(parts, reader, remediation, now), now)
    if decision.answer is Answer.ALLOW and gathered.trouble is not None:
        decision = gathered.trouble
    elif decision.answer is Answer.ALLOW and (gathered.plan is None or not gathered.plan.items):
        decision = GuardAnswer("plan", Answer.DENY, Reason.NOTHING_TO_DO)
    return answers, decision, gathered.plan


def decide_settled(parts: Parts, remediation: Remediation, occurrence: Occurrence, now: float) -> None:
    """A person says that the unknown step did not take effect: it begins again when every guard allows it."""
    asked = replace(remediation, held_since=remediation.proof["settled"]["at"])
    with parts.store.read() as reader:
        effect = reader.last_effect_end(str(remediation.frozen.target))
    gathered = gather(parts, asked, max(occurrence.received_at, min(effect or 0.0, now)), now)
    parts.record(remediation.frozen.steps, lambda tx: _decide_settled(parts, tx, remediation.id, gathered))


def _decide_settled(parts: Parts, tx: Tx, number: int, gathered: Gathered) -> None:
    now = parts.clock.now()
    present = tx.remediation(number)
    if present is None or present.state is not State.UNKNOWN or "settled" not in present.proof:
        return
    if tx.monitoring_stopped(now) is not None:
        tx.prolong(number, now + STOPPED_LOOK)
        return
    answers, decision = _ask(parts, present, gathered, past(parts, tx, present, now), now)
    settled = present.proof["settled"]
    if settled.get("held_for") != decision.reason.value:
        tx.add_decision(number, answers, now)
        tx.set_proof(number, present.proof | {"settled": settled | {"held_for": decision.reason.value}})
    over = present.cancel is not None or decision.reason is Reason.SELF_RESOLVED
    if over and present.frozen.verify is not None and any(row.state is StepState.DONE for row in tx.steps(number)):
        # as for a cancel between steps: what earlier steps did is still judged
        tx.move(number, State.VERIFYING, Reason.RESOLVED, now, due=now)
    elif over or decision.answer is Answer.DENY:
        verdict = _self_resolved(present.frozen, gathered) if decision.reason is Reason.SELF_RESOLVED else None
        fail(tx, present, present.cancel or decision.reason, now, verdict=verdict, detail=decision.detail)
    elif decision.answer is Answer.HOLD:
        tx.prolong(number, max(decision.until or 0.0, now + LEAST_HOLD))
    elif gathered.trouble is not None:
        fail(tx, present, gathered.trouble.reason, now, detail=gathered.trouble.detail)
    else:
        tx.begin_trial(number, present.frozen.playbook, now)
        tx.move(number, State.RUNNING, Reason.SETTLED_NOT_DONE, now, due=now)
        # the plan of the intent that was in doubt, never another
        tx.store_intent(number, present.position, tx.steps(number)[-1].plan, now)


def _asking_people(
    tx: Tx, remediation: Remediation, gathered: Gathered, decision: GuardAnswer, now: float
) -> GuardAnswer:
    """Given the hold that decides, make the request that it waits for, if that is what it wants and it is not made."""
    if decision.guard != approval.name or gathered.plan is None or decision.until is None:
        return decision
    if "approval" in decision.detail:
        return decision
    number = tx.add_approval(remediation.id, decision.detail["plan_hash"], gathered.plan, now, decision.until)
    asked = {"approval": number, **decision.detail}
    tx.add_event("approval", now, remediation_id=remediation.id, new=ApprovalState.OPEN, detail=asked)
    return replace(decision, detail=asked)


def _hold(tx: Tx, remediation: Remediation, decision: GuardAnswer, now: float) -> None:
    until = max(decision.until if decision.until is not None else now + 5.0, now + LEAST_HOLD)
    if remediation.state is State.HELD and remediation.reason is decision.reason:
        # the same hold goes on: no new event, only a new time to ask
        tx.prolong(remediation.id, until)
        return
    tx.move(remediation.id, State.HELD, decision.reason, now, until=until, due=until, detail=decision.detail)


def _observed(answers: tuple[GuardAnswer, ...], gathered: Gathered) -> Json:
    free = would_have(answers)
    if free.answer is Answer.ALLOW and gathered.trouble is not None:
        free = gathered.trouble
    items = list(gathered.plan.items) if gathered.plan is not None else []
    told = {"answer": free.answer.value, "reason": free.reason.value, "guard": free.guard}
    return {**told, "items": items[:20], "count": len(items)}
