"""What one decision is made on: everything is asked of the world here, before the transaction that decides."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from remediator.errors import Refused, SourceUnavailable
from remediator.evidence import FrozenRule, Trouble
from remediator.guards import approval
from remediator.model import (
    Answer,
    Facts,
    Frozen,
    GuardAnswer,
    Json,
    Live,
    Mode,
    Monitoring,
    Plan,
    Reason,
    Remediation,
    State,
)
from remediator.parts import Parts
from remediator.playbooks.match import withdrawn

logger = logging.getLogger(__name__)

LIVE_AGE = 1.0
"""Seconds that the live answer may be old when the decision is stored."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Facts for the guards, and what running will need if they allow."""

    facts: Facts
    plan: Plan | None
    proof: Json
    trouble: GuardAnswer | None = None
    """Why the step could not be planned, other than the policy."""


def gather(parts: Parts, remediation: Remediation, newer_than: float, now: float) -> Gathered:
    """Ask the world, after `newer_than`, what one decision needs. Sources that do not answer make the facts blind."""
    frozen = remediation.frozen
    hosts = parts.config.hosts_of(frozen.labels.get("instance", ""))
    rule = parts.evidence.question(frozen)
    problem: Reason | None = None
    live = None
    proof: Json = {}
    if isinstance(rule, Trouble):
        problem = rule.reason if rule.reason is not Reason.BLIND else None
    else:
        proof["rule"] = rule.to_json()
        unprovable = parts.evidence.refused(rule, frozen.verify)
        if unprovable is None or not rule.declared:
            # an expression that stands in for a rule and cannot be judged is not asked either
            live = parts.evidence.live(rule, frozen.labels, frozen.fingerprint, newer_than)
        if unprovable is not None:
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
                live.firing
                and plan is not None
                and frozen.mode is not Mode.OBSERVE
                and remediation.state is not State.UNKNOWN
            ):
                proof["baseline"] = parts.evidence.baseline(rule, frozen.labels, frozen.verify)
        except SourceUnavailable:
            # without a baseline nothing could be proven afterwards, so this counts as blind
            live = None
    in_force = next((each for each in parts.playbooks() if each.name == frozen.playbook), None)
    radius = frozen.limits.blast_radius
    group = parts.evidence.group(radius, frozen.labels) if radius is not None and live and live.firing else None
    # what is not ours is denied in any case, and nobody else's targets need be asked about
    monitoring = parts.monitoring(frozen) if hosts or frozen.manual else Monitoring()
    if live is not None and not isinstance(rule, Trouble):
        # last of all that is asked, since each may take its time
        live = _still_fresh(parts, frozen, rule, live)
    facts = Facts(
        asked_at=now,
        delivered_at=newer_than,
        pause=parts.pause(frozen),
        hosts=hosts,
        live=live,
        rule_problem=problem,
        plan=None if plan is None else {"items": len(plan.items)},
        policy_refusal=refusal,
        held_since=None if remediation.held_since is None else parts.jumps.moved(remediation.held_since),
        clock_jumped=parts.clock_jumped(),
        monitoring=monitoring,
        group=group,
        plan_hash=approval.plan_hash(frozen, plan) if frozen.mode is Mode.APPROVE and plan and plan.items else None,
        approval_valid_for=parts.config.approval_valid_for,
        digest_in_force=None if in_force is None else in_force.digest,
        withdrawn=withdrawn(in_force, frozen, parts.site),
    )
    return Gathered(facts, plan, proof, trouble)


def _still_fresh(parts: Parts, frozen: Frozen, rule: FrozenRule, live: Live) -> Live:
    """Planning and asking may take long: ask again what is too old by now, for nothing begins on an old answer."""
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
