"""Second stage: match a playbook, gather facts, ask the guards, and store the decision with the first intent.

`gather` asks the world; the decision itself is one writer transaction: two workers never pass one limit together.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from remediator.errors import ConfigError, Refused, RemediatorError, SourceUnavailable
from remediator.evidence import Trouble
from remediator.guards import ask_all, combine, would_have
from remediator.model import (
    Answer,
    Facts,
    Frozen,
    GuardAnswer,
    Json,
    Mode,
    Occurrence,
    Plan,
    Reason,
    Remediation,
    State,
    Verdict,
)
from remediator.parts import Parts
from remediator.playbooks.match import choose, freeze
from remediator.playbooks.templates import TemplateRefused
from remediator.store import Tx

logger = logging.getLogger(__name__)


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
        if tx.attempts(occurrence.id) >= frozen.limits.attempts:
            tx.set_fate(occurrence.id, "skipped", Reason.ATTEMPTS_USED)
        else:
            tx.schedule("remediation", tx.add_remediation(occurrence.id, frozen, now), now)

    parts.store.write(add)


def _fate(parts: Parts, occurrence: Occurrence, fate: str, reason: Reason) -> None:
    parts.store.write(lambda tx: tx.set_fate(occurrence.id, fate, reason))


@dataclass(frozen=True, slots=True)
class Gathered:
    """Facts for the guards, and what running will need if they allow."""

    facts: Facts
    plan: Plan | None
    proof: Json


def decide(parts: Parts, remediation: Remediation, occurrence: Occurrence, now: float) -> None:
    """Given a pending or held remediation, store the decision; when allowed, the lock and the first intent with it."""
    if remediation.cancel is not None:
        reason = remediation.cancel
        parts.store.write(lambda tx: tx.move(remediation.id, State.CANCELLED, reason, now))
        return
    gathered = gather(parts, remediation, occurrence, now)
    parts.store.write(lambda tx: _decide(tx, remediation, gathered, parts.clock.now()))


def _decide(tx: Tx, remediation: Remediation, gathered: Gathered, now: float) -> None:
    present = tx.remediation(remediation.id)
    if present is None or present.state not in (State.PENDING, State.HELD):
        return
    if present.cancel is not None:
        tx.move(present.id, State.CANCELLED, present.cancel, now)
        return
    frozen = present.frozen
    answers = ask_all(frozen, gathered.facts, tx.history(present, now), now)
    decision = combine(answers)
    tx.add_decision(present.id, answers, now)
    if frozen.mode is Mode.OBSERVE:
        tx.move(present.id, State.OBSERVED, Reason.OBSERVE_MODE, now, detail=_observed(answers, gathered))
    elif decision.answer is Answer.DENY:
        verdict = Verdict.SELF_RESOLVED if gathered.proof.get("healthy_before") else None
        if decision.reason is Reason.SELF_RESOLVED and verdict is None:
            verdict = Verdict.EXPIRED
        elif decision.reason is not Reason.SELF_RESOLVED:
            verdict = None
        tx.move(present.id, State.SKIPPED, decision.reason, now, verdict=verdict, detail=decision.detail)
    elif decision.answer is Answer.HOLD:
        _hold(tx, present, decision, now)
    elif gathered.plan is None or not gathered.plan.items:
        tx.move(present.id, State.SKIPPED, Reason.NOTHING_TO_DO, now)
    elif (holder := tx.take_lock(frozen.lock_key, present.id)) is not None:
        locked = GuardAnswer("lock", Answer.HOLD, Reason.LOCKED, {"remediation": holder}, now + 1.0)
        _hold(tx, present, locked, now)
    else:
        tx.move(present.id, State.RUNNING, Reason.ALLOWED, now, due=now)
        tx.set_proof(present.id, gathered.proof)
        tx.store_intent(present.id, 0, gathered.plan, now)


def _hold(tx: Tx, remediation: Remediation, decision: GuardAnswer, now: float) -> None:
    until = decision.until if decision.until is not None else now + 5.0
    if remediation.state is State.HELD and remediation.reason is decision.reason:
        # the same hold goes on: no new event, only a new time to ask
        tx.prolong(remediation.id, until)
        return
    tx.move(remediation.id, State.HELD, decision.reason, now, until=until, due=until, detail=decision.detail)


def _observed(answers: tuple[GuardAnswer, ...], gathered: Gathered) -> Json:
    free = would_have(answers)
    items = list(gathered.plan.items) if gathered.plan is not None else []
    return {"answer": free.answer.value, "reason": free.reason.value, "items": items[:20], "count": len(items)}


def gather(parts: Parts, remediation: Remediation, occurrence: Occurrence, now: float) -> Gathered:
    """Ask the world what one decision needs. Sources that do not answer make the facts blind; nothing raises."""
    frozen = remediation.frozen
    hosts = parts.config.hosts_of(frozen.labels.get("instance", ""))
    rule = parts.evidence.rule_for(frozen.labels.get("alertname", ""), frozen.labels, frozen.generator_url)
    problem: Reason | None = None
    live = None
    proof: Json = {}
    if isinstance(rule, Trouble):
        problem = rule.reason if rule.reason is not Reason.BLIND else None
    else:
        live = parts.evidence.live(rule, frozen.labels, frozen.fingerprint, occurrence.received_at)
        proof["rule"] = rule.to_json()
        if frozen.verify is not None and (unprovable := parts.evidence.refused(rule, frozen.verify)) is not None:
            problem = Reason.RULE_REFUSED
            logger.warning("no proof is possible", extra={"playbook": frozen.playbook, "problem": unprovable})
    plan, refusal = _plan(parts, frozen, live is not None and live.firing is True)
    if live is not None and not isinstance(rule, Trouble) and frozen.verify is not None:
        try:
            if live.firing is False:
                proof["healthy_before"] = parts.evidence.healthy_now(rule, frozen.labels)
            elif live.firing and plan is not None and frozen.mode is Mode.AUTO:
                proof["baseline"] = parts.evidence.baseline(rule, frozen.labels, frozen.verify)
        except SourceUnavailable:
            # without a baseline nothing could be proven afterwards, so this counts as blind
            live = None
    facts = Facts(
        asked_at=now,
        delivered_at=occurrence.received_at,
        pause=parts.pause(),
        hosts=hosts,
        live=live,
        rule_problem=problem,
        plan=None if plan is None else {"items": len(plan.items)},
        policy_refusal=refusal,
        held_since=remediation.held_since,
        clock_jumped=parts.clock_jumped(),
    )
    return Gathered(facts, plan, proof)


def _plan(parts: Parts, frozen: Frozen, wanted: bool) -> tuple[Plan | None, str | None]:
    """Return the first step's plan (the dry run) or why it may not be made."""
    if not wanted:
        return None, None
    step = frozen.steps[0]
    try:
        return parts.dispatch.plan(frozen.target.host, step.action, step.arguments, step.timeout), None
    except Refused as error:
        return None, error.detail
    except RemediatorError as error:
        return None, f"{step.action} could not be planned: {error}"
