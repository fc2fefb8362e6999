"""What one decision is made on: everything is asked of the world here, before the transaction that decides."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from remediator.errors import SourceUnavailable
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
from remediator.planning import Planned, plan_next

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


@dataclass(frozen=True, slots=True)
class _Needed:
    """What was asked of the alert itself."""

    rule: FrozenRule | None
    """What tells whether it fires; None where nobody knows."""
    live: Live | None
    problem: Reason | None
    """Why nothing could be proven, other than that a source does not answer."""


def gather(parts: Parts, remediation: Remediation, newer_than: float, now: float) -> Gathered:
    """Ask the world, after `newer_than`, what one decision needs. Sources that do not answer make the facts blind."""
    frozen = remediation.frozen
    hosts = parts.config.hosts_of(frozen.labels.get("instance", ""))
    needed = _needed(parts, frozen, newer_than)
    firing = needed.live is not None and bool(needed.live.firing)
    planned = plan_next(parts, remediation, "decide") if firing else Planned()
    proof = _proof(parts, remediation, needed, planned.plan)
    # without a baseline nothing could be proven afterwards, so this counts as blind
    live = None if proof is None else needed.live
    radius = frozen.limits.blast_radius
    group = parts.evidence.group(radius, frozen.labels) if radius is not None and live and live.firing else None
    # what is not ours is denied in any case, and nobody else's targets need be asked about
    monitoring = parts.monitoring(frozen) if hosts or frozen.manual else Monitoring()
    if live is not None and needed.rule is not None:
        # last of all that is asked, since each may take its time
        live = _still_fresh(parts, frozen, needed.rule, live)
    plan = planned.plan
    facts = Facts(
        asked_at=now,
        delivered_at=newer_than,
        pause=parts.pause(frozen),
        hosts=hosts,
        live=live,
        rule_problem=needed.problem,
        plan=None if plan is None else {"items": len(plan.items)},
        policy_refusal=planned.refused,
        held_since=None if remediation.held_since is None else parts.jumps.moved(remediation.held_since),
        clock_jumped=parts.clock_jumped(),
        monitoring=monitoring,
        group=group,
        plan_hash=approval.plan_hash(frozen, plan) if frozen.mode is Mode.APPROVE and plan and plan.items else None,
        approval_valid_for=parts.config.approval_valid_for,
    )
    return Gathered(facts, plan, proof or {}, _trouble(planned))


def _needed(parts: Parts, frozen: Frozen, newer_than: float) -> _Needed:
    """Ask whether the alert fires, unless nobody knows by which question, or nothing could be proven of it."""
    rule = parts.evidence.question(frozen)
    if isinstance(rule, Trouble):
        return _Needed(None, None, rule.reason if rule.reason is not Reason.BLIND else None)
    unprovable = parts.evidence.refused(rule, frozen.verify)
    live = None
    if unprovable is None or not rule.declared:
        # an expression that stands in for a rule and cannot be judged is not asked either
        live = parts.evidence.live(rule, frozen.labels, frozen.fingerprint, newer_than)
    if unprovable is None:
        return _Needed(rule, live, None)
    logger.warning("no proof is possible", extra={"playbook": frozen.playbook, "problem": unprovable})
    return _Needed(rule, live, Reason.RULE_REFUSED)


def _proof(parts: Parts, remediation: Remediation, needed: _Needed, plan: Plan | None) -> Json | None:
    """Return what verifying needs: the rule and the baseline. None if it had to be asked for and nobody answers."""
    frozen, live = remediation.frozen, needed.live
    if needed.rule is None:
        return {}
    proof: Json = {"rule": needed.rule.to_json()}
    if live is None or live.firing is None or frozen.verify is None:
        return proof
    begins = plan is not None and frozen.mode is not Mode.OBSERVE and remediation.state is not State.UNKNOWN
    try:
        if not live.firing:
            proof["healthy_before"] = parts.evidence.healthy_now(needed.rule, frozen.labels)
        elif begins:
            proof["baseline"] = parts.evidence.baseline(needed.rule, frozen.labels, frozen.verify)
    except SourceUnavailable:
        return None
    return proof


def _trouble(planned: Planned) -> GuardAnswer | None:
    """Return what is in the way of the plan, unless it is the policy: that has a guard of its own."""
    if planned.problem is None or planned.refused is not None:
        return None
    return GuardAnswer("plan", Answer.DENY, planned.problem, planned.detail)


def _still_fresh(parts: Parts, frozen: Frozen, rule: FrozenRule, live: Live) -> Live:
    """Planning and asking may take long: ask again what is too old by now, for nothing begins on an old answer."""
    oldest = parts.clock.now() - LIVE_AGE
    if not live.firing or live.asked_at >= oldest:
        return live
    return parts.evidence.live(rule, frozen.labels, frozen.fingerprint, oldest)
