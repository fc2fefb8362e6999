"""Fourth stage: is it proven healthy, and does it stay so? Only positive evidence from fresh raw samples counts."""

from __future__ import annotations

import logging

from remediator.errors import SourceUnavailable
from remediator.evidence import FrozenRule, Health, Trouble
from remediator.model import Json, Reason, Remediation, State, Verdict, Verify
from remediator.parts import Parts
from remediator.store import Tx

logger = logging.getLogger(__name__)

BLIND_FOR = 60.0
"""Seconds beyond `within` that verifying waits for a Prometheus that does not answer; then it is unproven."""


def verify(parts: Parts, remediation: Remediation) -> None:
    """Judge a remediation whose effects ended once; store proof, verdict or the time of the next look."""
    spec = remediation.frozen.verify or Verify()
    proof = dict(remediation.proof)
    wall = parts.clock.now()
    try:
        now = parts.evidence.prometheus_now()
        end = float(proof.setdefault("end", now))
        proof.setdefault("since_wall", wall)
        rule = FrozenRule.from_json(proof["rule"])
        health = parts.evidence.health(rule, remediation.frozen.labels, spec, proof["baseline"], end, now)
    except SourceUnavailable:
        _blind(parts, remediation, spec, proof, wall)
        return
    if _changed(parts, remediation, rule):
        _conclude(parts, remediation, proof, Verdict.UNPROVEN, Reason.RULE_CHANGED, health)
        return
    if not health.healthy:
        proof["healthy_since"] = None
    elif proof.get("healthy_since") is None:
        proof["healthy_since"] = now
    since = proof.get("healthy_since")
    if since is not None and now - float(since) >= spec.healthy_for and health.alive:
        _proven(parts, remediation, spec, proof, health)
    elif now - end >= spec.within:
        gone = health.gone
        verdict = Verdict.EXPIRED if gone else Verdict.UNPROVEN
        _conclude(parts, remediation, proof, verdict, Reason.SERIES_GONE if gone else Reason.NOT_PROVEN, health)
    else:
        due = wall + _wait(parts, spec, now, since, health)
        parts.store.write(lambda tx: _again(tx, remediation, proof, due))


def _wait(parts: Parts, spec: Verify, now: float, since: float | None, health: Health) -> float:
    """Return the seconds until the next look: once per scrape interval, right after the sample is due."""
    interval = parts.config.scrape_interval
    wait = interval
    if health.last_sample is not None:
        # looking just after a sample instead of at a random phase saves half an interval on average
        wait = (health.last_sample + interval - now) % interval + min(0.25, interval / 4)
    if since is not None:
        left = float(since) + spec.healthy_for - now
        if 0 < left < wait:
            wait = left
    return max(wait, 0.05)


def _changed(parts: Parts, remediation: Remediation, rule: FrozenRule) -> bool:
    labels = remediation.frozen.labels
    present = parts.evidence.rule_for(labels.get("alertname", ""), labels, remediation.frozen.generator_url)
    if isinstance(present, Trouble):
        return present.reason is not Reason.BLIND
    return present.expression != rule.expression


def _again(tx: Tx, remediation: Remediation, proof: Json, due: float) -> None:
    tx.set_proof(remediation.id, proof)
    tx.schedule("remediation", remediation.id, due)


def _blind(parts: Parts, remediation: Remediation, spec: Verify, proof: Json, wall: float) -> None:
    """Prometheus does not answer: keep asking until well after `within`, then say that nothing is proven."""
    since = float(proof.setdefault("since_wall", wall))
    proof["healthy_since"] = None
    if wall - since >= spec.within + BLIND_FOR:
        _conclude(parts, remediation, proof, Verdict.UNPROVEN, Reason.BLIND, None)
        return
    due = wall + min(5.0, parts.config.scrape_interval)
    parts.store.write(lambda tx: _again(tx, remediation, proof, due))


def _proven(parts: Parts, remediation: Remediation, spec: Verify, proof: Json, health: Health) -> None:
    now = parts.clock.now()
    reason = Reason.OUTCOME_UNKNOWN if proof.get("in_doubt") else Reason.PROVEN
    proof["watch_until"] = now + spec.watch

    def store(tx: Tx) -> None:
        tx.set_proof(remediation.id, proof)
        tx.add_evidence(remediation.id, "after", health.to_json(), now)
        if spec.watch > 0:
            due = now + _watch_step(parts, spec)
            tx.move(remediation.id, State.WATCHING, reason, now, verdict=Verdict.FIXED, due=due)
        else:
            tx.move(remediation.id, State.SUCCEEDED, reason, now, verdict=Verdict.FIXED)

    parts.store.write(store)
    parts.counters.observe("recovery_seconds", now - remediation.frozen.starts_at, playbook=remediation.frozen.playbook)


def _conclude(
    parts: Parts, remediation: Remediation, proof: Json, verdict: Verdict, reason: Reason, health: Health | None
) -> None:
    """Not proven: ineffective, or, where it is not even known what was done, back to a person."""
    now = parts.clock.now()

    def store(tx: Tx) -> None:
        tx.set_proof(remediation.id, proof)
        if health is not None:
            tx.add_evidence(remediation.id, "after", health.to_json(), now)
        if proof.get("in_doubt"):
            tx.move(remediation.id, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now, verdict=verdict)
        else:
            tx.move(remediation.id, State.INEFFECTIVE, reason, now, verdict=verdict)

    parts.store.write(store)


def look_once(parts: Parts, remediation: Remediation) -> None:
    """Given a remediation whose outcome is unknown, let verifying judge it by itself, once; then people settle it."""
    proof = dict(remediation.proof)
    if proof.get("in_doubt") or "baseline" not in proof:
        # judged before, or cannot be judged: only `selfheal settle` moves it on
        parts.store.write(lambda tx: tx.unschedule("remediation", remediation.id))
        return
    proof["in_doubt"] = True
    now = parts.clock.now()

    def store(tx: Tx) -> None:
        tx.set_proof(remediation.id, proof)
        tx.move(remediation.id, State.VERIFYING, Reason.OUTCOME_UNKNOWN, now, due=now)

    parts.store.write(store)


def watch(parts: Parts, remediation: Remediation) -> None:
    """Given a proven remediation, see whether the fault came back; end it when the watch is over."""
    spec = remediation.frozen.verify or Verify()
    labels = remediation.frozen.labels
    now = parts.clock.now()
    rule = parts.evidence.rule_for(labels.get("alertname", ""), labels, remediation.frozen.generator_url)
    firing = None
    if not isinstance(rule, Trouble):
        firing = parts.evidence.live(rule, labels, remediation.frozen.fingerprint, now - 1.0).firing
    until = float(remediation.proof.get("watch_until", now))
    if firing:
        parts.store.write(
            lambda tx: tx.move(remediation.id, State.INEFFECTIVE, Reason.RECURRED, now, verdict=Verdict.RECURRED)
        )
    elif now >= until:
        parts.store.write(
            lambda tx: tx.move(remediation.id, State.SUCCEEDED, Reason.HELD_WATCH, now, verdict=Verdict.FIXED)
        )
    else:
        due = min(until, now + _watch_step(parts, spec))
        parts.store.write(lambda tx: tx.schedule("remediation", remediation.id, due))


def _watch_step(parts: Parts, spec: Verify) -> float:
    return max(parts.config.scrape_interval, min(15.0, spec.watch / 6))
