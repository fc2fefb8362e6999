"""Second stage: match a playbook, gather facts, ask the guards, and store the decision with the first intent.

`gather` asks the world; the decision itself is one writer transaction: two workers never pass one limit together.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from remediator.errors import Refused, SourceUnavailable
from remediator.evidence import FrozenRule, Trouble
from remediator.guards import ask_all, combine, would_have
from remediator.model import (
    Answer,
    Facts,
    Frozen,
    GuardAnswer,
    History,
    Json,
    Live,
    Mode,
    Occurrence,
    Plan,
    Reason,
    Remediation,
    State,
    StepState,
    Verdict,
)
from remediator.parts import Parts, past
from remediator.playbooks.match import choose, freeze
from remediator.playbooks.templates import TemplateRefused
from remediator.store import Tx
from selfheal.common.problems import ConfigError

logger = logging.getLogger(__name__)

LIVE_AGE = 1.0
"""Seconds that the live answer may be old when the decision is stored."""
LEAST_HOLD = 0.05
"""Seconds between two questions of a held remediation, whatever a guard says."""


def consider(parts: Parts, occurrence: Occurrence, now: float) -> None:
    """Given an open occurrence, give it its fate, or a pending remediation that is due at once."""
    if occurrence.alert.annotations.get("playbook") == "none":
        _fate(parts, occurrence, "human_only", Reason.HUMAN_ONLY)
        return
    playbook = choose(parts.playbooks(), occurrence.alert)
    if playbook is None:
        _fate(parts, occurrence, "no_playbook", Reason.NO_PLAYBOOK)
        return
    try:
        frozen = freeze(playbook, occurrence.alert, parts.site)
    except (TemplateRefused, ConfigError) as error:
        logger.warning("template refused", extra={"playbook": playbook.name, "problem": str(error)})
        _fate(parts, occurrence, "skipped", Reason.TEMPLATE_REFUSED)
        return

    def add(tx: Tx) -> None:
        present = tx.occurrence(occurrence.id)
        if present is None or present.closed_at is not None:
            return
        last = None if present.remediation_id is None else tx.remediation(present.remediation_id)
        if last is not None and (last.ended_at is None or _would_only_be_observed_again(last, frozen)):
            tx.unschedule("occurrence", occurrence.id)
        elif tx.attempts(occurrence.id) >= frozen.limits.attempts:
            tx.set_fate(occurrence.id, "skipped", Reason.ATTEMPTS_USED)
        else:
            tx.schedule("remediation", tx.add_remediation(occurrence.id, frozen, now), now)

    parts.record(frozen.steps, add)


def _would_only_be_observed_again(last: Remediation, frozen: Frozen) -> bool:
    return last.state is State.OBSERVED and last.frozen == frozen


def _fate(parts: Parts, occurrence: Occurrence, fate: str, reason: Reason) -> None:
    def store(tx: Tx) -> None:
        if (occurrence.fate, occurrence.reason) == (fate, reason):
            # decided again with the same answer: nothing new to tell
            tx.unschedule("occurrence", occurrence.id)
        else:
            tx.set_fate(occurrence.id, fate, reason)

    parts.store.write(store)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Facts for the guards, and what running will need if they allow."""

    facts: Facts
    plan: Plan | None
    proof: Json
    trouble: GuardAnswer | None = None
    """Why the step could not be planned, other than the policy."""


def decide(parts: Parts, remediation: Remediation, occurrence: Occurrence, now: float) -> None:
    """Given a pending or held remediation, store the decision; when allowed, the lock and the first intent with it."""
    if remediation.cancel is not None:
        reason = remediation.cancel
        parts.record(remediation.frozen.steps, lambda tx: tx.move(remediation.id, State.CANCELLED, reason, now))
        return
    gathered = gather(parts, remediation, occurrence.received_at, now)
    acted_at = parts.record(remediation.frozen.steps, lambda tx: _decide(parts, tx, remediation, gathered))
    if acted_at is not None:
        fresh = gather(parts, remediation, acted_at, now)
        parts.record(remediation.frozen.steps, lambda tx: _decide(parts, tx, remediation, fresh))


def _decide(parts: Parts, tx: Tx, remediation: Remediation, gathered: Gathered) -> float | None:
    """Store what follows; or return when the target was last acted upon, if the live answer is older than that."""
    now = parts.clock.now()
    present = tx.remediation(remediation.id)
    if present is None or present.state not in (State.PENDING, State.HELD):
        return None
    if present.cancel is not None:
        tx.move(present.id, State.CANCELLED, present.cancel, now)
        return None
    history = past(parts, tx, present, now)
    live = gathered.facts.live
    if live is not None and history.last_effect_at is not None and history.last_effect_at > live.asked_at:
        return history.last_effect_at
    answers, decision = _ask(parts, present, gathered, history, now)
    if decision.answer is not Answer.HOLD or (present.state, present.reason) != (State.HELD, decision.reason):
        # the same hold going on is not another decision: a long pause would fill the disk with them
        tx.add_decision(present.id, answers, now)
    _follow(tx, present, gathered, answers, decision, now)
    return None


def _ask(
    parts: Parts, remediation: Remediation, gathered: Gathered, history: History, now: float
) -> tuple[tuple[GuardAnswer, ...], GuardAnswer]:
    # the pause file is read here, in the intent's own transaction: it counts from the moment it is written
    facts = replace(gathered.facts, pause=parts.pause())
    answers = ask_all(remediation.frozen, facts, history, now)
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
    elif decision.answer is Answer.HOLD:
        _hold(tx, present, decision, now)
    elif gathered.trouble is not None:
        tx.move(present.id, State.SKIPPED, gathered.trouble.reason, now, detail=gathered.trouble.detail)
    elif gathered.plan is None or not gathered.plan.items:
        tx.move(present.id, State.SKIPPED, Reason.NOTHING_TO_DO, now)
    elif (holder := tx.take_lock(frozen.lock_key, present.id)) is not None:
        locked = GuardAnswer("lock", Answer.HOLD, Reason.LOCKED, {"remediation": holder}, now + 1.0)
        _hold(tx, present, locked, now)
    else:
        tx.move(present.id, State.RUNNING, Reason.ALLOWED, now, due=now)
        tx.set_proof(present.id, gathered.proof)
        tx.store_intent(present.id, 0, gathered.plan, now)


def _self_resolved(frozen: Frozen, gathered: Gathered) -> Verdict:
    """Gone before any effect of ours: proven healthy, or only no longer firing."""
    if gathered.proof.get("healthy_before"):
        return Verdict.SELF_RESOLVED
    return Verdict.NOT_ASKED if frozen.verify is None else Verdict.UNPROVEN


def decide_settled(parts: Parts, remediation: Remediation, occurrence: Occurrence, now: float) -> None:
    """A person says that the unknown step did not take effect: it begins again when every guard allows it."""
    asked = replace(remediation, held_since=remediation.proof["settled"]["at"])
    gathered = gather(parts, asked, occurrence.received_at, now)
    parts.record(remediation.frozen.steps, lambda tx: _decide_settled(parts, tx, remediation.id, gathered))


def _decide_settled(parts: Parts, tx: Tx, number: int, gathered: Gathered) -> None:
    now = parts.clock.now()
    present = tx.remediation(number)
    if present is None or present.state is not State.UNKNOWN or "settled" not in present.proof:
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
        tx.move(number, State.FAILED, present.cancel or decision.reason, now, verdict=verdict, detail=decision.detail)
    elif decision.answer is Answer.HOLD:
        tx.prolong(number, max(decision.until or 0.0, now + LEAST_HOLD))
    elif gathered.trouble is not None:
        tx.move(number, State.FAILED, gathered.trouble.reason, now, detail=gathered.trouble.detail)
    else:
        tx.move(number, State.RUNNING, Reason.SETTLED_NOT_DONE, now, due=now)
        # the plan of the intent that was in doubt, never another
        tx.store_intent(number, present.position, tx.steps(number)[-1].plan, now)


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
    return {"answer": free.answer.value, "reason": free.reason.value, "items": items[:20], "count": len(items)}


def gather(parts: Parts, remediation: Remediation, newer_than: float, now: float) -> Gathered:
    """Ask the world, after `newer_than`, what one decision needs. Sources that do not answer make the facts blind."""
    frozen = remediation.frozen
    hosts = parts.config.hosts_of(frozen.labels.get("instance", ""))
    rule = parts.evidence.rule_for(frozen.labels.get("alertname", ""), frozen.labels, frozen.generator_url)
    problem: Reason | None = None
    live = None
    proof: Json = {}
    if isinstance(rule, Trouble):
        problem = rule.reason if rule.reason is not Reason.BLIND else None
    else:
        live = parts.evidence.live(rule, frozen.labels, frozen.fingerprint, newer_than)
        proof["rule"] = rule.to_json()
        if frozen.verify is not None and (unprovable := parts.evidence.refused(rule, frozen.verify)) is not None:
            problem = Reason.RULE_REFUSED
            logger.warning("no proof is possible", extra={"playbook": frozen.playbook, "problem": unprovable})
    plan, refusal, trouble = None, None, None
    if live is not None and live.firing:
        plan, refusal, trouble = _plan(parts, frozen, remediation.position)
    if live is not None and not isinstance(rule, Trouble) and frozen.verify is not None:
        try:
            if live.firing is False:
                proof["healthy_before"] = parts.evidence.healthy_now(rule, frozen.labels)
            elif (
                live.firing and plan is not None and frozen.mode is Mode.AUTO and remediation.state is not State.UNKNOWN
            ):
                proof["baseline"] = parts.evidence.baseline(rule, frozen.labels, frozen.verify)
        except SourceUnavailable:
            # without a baseline nothing could be proven afterwards, so this counts as blind
            live = None
    if live is not None and not isinstance(rule, Trouble):
        live = _still_fresh(parts, frozen, rule, live)
    facts = Facts(
        asked_at=now,
        delivered_at=newer_than,
        pause=parts.pause(),
        hosts=hosts,
        live=live,
        rule_problem=problem,
        plan=None if plan is None else {"items": len(plan.items)},
        policy_refusal=refusal,
        held_since=None if remediation.held_since is None else parts.jumps.moved(remediation.held_since),
        clock_jumped=parts.clock_jumped(),
    )
    return Gathered(facts, plan, proof, trouble)


def _still_fresh(parts: Parts, frozen: Frozen, rule: FrozenRule, live: Live) -> Live:
    """Planning may take long: ask again what is too old by now, for nothing begins on an old answer."""
    oldest = parts.clock.now() - LIVE_AGE
    if not live.firing or live.asked_at >= oldest:
        return live
    return parts.evidence.live(rule, frozen.labels, frozen.fingerprint, oldest)


def _plan(parts: Parts, frozen: Frozen, position: int) -> tuple[Plan | None, str | None, GuardAnswer | None]:
    """Return a step's plan (the dry run), or the policy's refusal, or what else is in the way."""
    step = frozen.steps[position]
    action = parts.actions.get(step.action)
    if action is None or action.version != step.version:
        return None, None, GuardAnswer("plan", Answer.DENY, Reason.ACTION_CHANGED, {"action": step.action})
    try:
        return parts.dispatch.plan(frozen.target.host, step.action, step.arguments, step.timeout), None, None
    except Refused as error:
        return None, error.detail, None
    except Exception as error:
        # the border to foreign code: an alert must have its fate however an action's planning breaks
        logger.exception("planning broke", extra={"action": step.action, "playbook": frozen.playbook})
        parts.counters.count("stage_errors", stage="decide")
        detail = {"action": step.action, "error": f"{error.__class__.__name__}: {error}"}
        return None, None, GuardAnswer("plan", Answer.DENY, Reason.STEP_FAILED, detail)
