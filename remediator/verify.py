"""Fourth stage: is it proven healthy, and does it stay so? Only positive evidence from fresh raw samples counts."""

from __future__ import annotations

import logging

from remediator.before_after import WORSE_LOOKS, look_back, what_is_kept, worse_looks
from remediator.errors import SourceUnavailable
from remediator.evidence import FrozenRule, Health, Trouble
from remediator.model import Json, Reason, Remediation, State, Verdict, Verify
from remediator.parts import Parts
from remediator.store import Tx
from remediator.undo import begin_undo

logger = logging.getLogger(__name__)

BLIND_FOR = 60.0
"""Seconds beyond `within`, or beyond a watch, that a Prometheus that does not answer is waited for."""
UNSEEN_SCRAPES = 4
"""Scrape intervals without a look after which a healthy span begins anew: nobody saw what happened meanwhile."""
UNSEEN_AT_LEAST = 10.0
"""Seconds without a look that are never taken for such a gap."""


def verify(parts: Parts, remediation: Remediation) -> None:
    """Judge a remediation whose effects ended once; store proof, verdict or the time of the next look."""
    spec = remediation.frozen.verify
    proof = dict(remediation.proof)
    wall = parts.clock.now()
    if spec is None or "baseline" not in proof:
        _unprovable(parts, remediation)
        return
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
    look_back(parts, remediation, rule, proof)
    _weigh(parts, remediation, spec, proof, health)


def _weigh(parts: Parts, remediation: Remediation, spec: Verify, proof: Json, health: Health) -> None:
    """Given one look, conclude if it was seen healthy, or worse, for long enough, or time is over; else look again."""
    wall, now, end = parts.clock.now(), float(health.detail["now"]), float(proof["end"])
    unseen = now - float(proof.get("looked_at", now))
    proof["looked_at"] = now
    worse = worse_looks(proof, health, now, again=unseen <= _longest_gap(parts))
    if not (health.healthy and health.alive):
        # a worker that crashes again and again is alive at some looks: it must be so through the whole span
        proof["healthy_since"] = None
    elif proof.get("healthy_since") is None or unseen > _longest_gap(parts):
        proof["healthy_since"] = now
    since = proof.get("healthy_since")
    if since is not None and now - float(since) >= spec.healthy_for:
        _proven(parts, remediation, spec, proof, health)
        return
    over = now - end >= spec.within or _waited_long(parts, spec, proof, wall)
    if worse >= WORSE_LOOKS and (over or now - float(proof["worse"]["since"]) >= spec.healthy_for):
        # as long as it must be seen healthy: what starts anew is busy for a moment
        _conclude(parts, remediation, proof, Verdict.WORSE, Reason.WORSENED, health)
    elif over:
        gone = health.gone
        verdict = Verdict.EXPIRED if gone else Verdict.UNPROVEN
        _conclude(parts, remediation, proof, verdict, Reason.SERIES_GONE if gone else Reason.NOT_PROVEN, health)
    else:
        due = wall + _wait(parts, spec, now, since, health)
        parts.record(remediation.frozen.steps, lambda tx: _again(tx, remediation, proof, due))


def _longest_gap(parts: Parts) -> float:
    return max(UNSEEN_AT_LEAST, UNSEEN_SCRAPES * parts.config.scrape_interval)


def _waited_long(parts: Parts, spec: Verify, proof: Json, wall: float) -> bool:
    """Say whether it takes so long by our own clock that Prometheus's, or its answers, cannot be waited for."""
    since = float(proof.setdefault("since_wall", wall))
    return wall - parts.jumps.moved(since) >= spec.within + BLIND_FOR


def _unprovable(parts: Parts, remediation: Remediation) -> None:
    """A person settled an effect as done that nothing was asked about before it: there is no proof to gather."""
    now = parts.clock.now()

    def store(tx: Tx) -> None:
        if remediation.frozen.verify is None:
            tx.move(remediation.id, State.SUCCEEDED, Reason.PROOF_NOT_ASKED, now, verdict=Verdict.NOT_ASKED)
        else:
            tx.move(remediation.id, State.INEFFECTIVE, Reason.NOT_PROVEN, now, verdict=Verdict.UNPROVEN)

    parts.record(remediation.frozen.steps, store)


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
    present = parts.evidence.question(remediation.frozen)
    if isinstance(present, Trouble):
        return present.reason is not Reason.BLIND
    return _goal(present) != _goal(rule)


def _goal(rule: FrozenRule) -> tuple[object, ...]:
    """Return what must not move between effect and proof; where the rule is written may."""
    return rule.expression, rule.recorded, rule.labels, rule.for_seconds


def _again(tx: Tx, remediation: Remediation, proof: Json, due: float) -> None:
    tx.set_proof(remediation.id, proof)
    tx.schedule("remediation", remediation.id, due)


def _blind(parts: Parts, remediation: Remediation, spec: Verify, proof: Json, wall: float) -> None:
    """Prometheus does not answer: keep asking until well after `within`, then say that nothing is proven."""
    proof["healthy_since"] = None
    proof.pop("worse", None)
    if _waited_long(parts, spec, proof, wall):
        _conclude(parts, remediation, proof, Verdict.UNPROVEN, Reason.BLIND, None)
        return
    due = wall + min(5.0, parts.config.scrape_interval)
    parts.record(remediation.frozen.steps, lambda tx: _again(tx, remediation, proof, due))


def _proven(parts: Parts, remediation: Remediation, spec: Verify, proof: Json, health: Health) -> None:
    now = parts.clock.now()
    reason = Reason.OUTCOME_UNKNOWN if proof.get("in_doubt") else Reason.PROVEN
    after = what_is_kept(parts, remediation, proof, health)

    def store(tx: Tx) -> None:
        tx.set_proof(remediation.id, proof)
        tx.add_evidence(remediation.id, "after", after, now)
        if spec.watch > 0:
            due = now + _watch_step(parts, spec)
            tx.move(remediation.id, State.WATCHING, reason, now, verdict=Verdict.FIXED, due=due)
        else:
            tx.move(remediation.id, State.SUCCEEDED, reason, now, verdict=Verdict.FIXED)

    parts.record(remediation.frozen.steps, store)
    parts.counters.observe("recovery_seconds", now - remediation.frozen.starts_at, playbook=remediation.frozen.playbook)


def _conclude(
    parts: Parts, remediation: Remediation, proof: Json, verdict: Verdict, reason: Reason, health: Health | None
) -> None:
    """Not proven: ineffective, or, where it is not even known what was done, back to a person; worse is taken back."""
    now = parts.clock.now()
    after = what_is_kept(parts, remediation, proof, health)

    def store(tx: Tx) -> None:
        tx.set_proof(remediation.id, proof)
        if after:
            tx.add_evidence(remediation.id, "after", after, now)
        if proof.get("in_doubt"):
            tx.move(remediation.id, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now, verdict=verdict)
        elif verdict is not Verdict.WORSE or not begin_undo(tx, remediation, reason, now, verdict=verdict):
            tx.move(remediation.id, State.INEFFECTIVE, reason, now, verdict=verdict)

    parts.record(remediation.frozen.steps, store)


def look_once(parts: Parts, remediation: Remediation) -> None:
    """Given a remediation whose outcome is unknown, let verifying judge it by itself, once; then people settle it.

    What is in doubt in an undo is not judged: that all is well says nothing of what is still to be taken back.
    """
    proof = dict(remediation.proof)
    with parts.store.read() as reader:
        rows = reader.steps(remediation.id)
    if proof.get("in_doubt") or "baseline" not in proof or (rows and rows[-1].undo):
        # judged before, or cannot be judged: only `selfheal settle` moves it on
        parts.store.write(lambda tx: tx.unschedule("remediation", remediation.id))
        return
    proof["in_doubt"] = True
    now = parts.clock.now()

    def store(tx: Tx) -> None:
        tx.set_proof(remediation.id, proof)
        tx.move(remediation.id, State.VERIFYING, Reason.OUTCOME_UNKNOWN, now, due=now)

    parts.record(remediation.frozen.steps, store)


def watch(parts: Parts, remediation: Remediation) -> None:
    """Given a proven remediation, see whether the fault came back; end it when the watch is over."""
    spec = remediation.frozen.verify or Verify()
    labels = remediation.frozen.labels
    now = parts.clock.now()
    rule = parts.evidence.question(remediation.frozen)
    firing = None
    gone = isinstance(rule, Trouble) and rule.reason is not Reason.BLIND
    if not isinstance(rule, Trouble) and rule.expression:
        firing = parts.evidence.live(rule, labels, remediation.frozen.fingerprint, now - 1.0).firing
    proven = parts.jumps.moved(remediation.verified_at or now)
    until = proven + spec.watch
    if firing or "came_back" in remediation.proof or _began_again(parts, remediation, proven):
        _came_back(parts, remediation, spec, now)
        return
    reason = Reason.RULE_CHANGED if gone else Reason.BLIND
    if firing is False and now >= until:
        # that it held is only said by whoever saw it, and a series that is no longer there says nothing
        reason = Reason.SERIES_GONE if _is_gone(parts, remediation, spec) else Reason.HELD_WATCH
    if now >= until + (BLIND_FOR if reason in (Reason.BLIND, Reason.SERIES_GONE) else 0.0):
        parts.store.write(lambda tx: tx.move(remediation.id, State.SUCCEEDED, reason, now, verdict=Verdict.FIXED))
    else:
        step = _watch_step(parts, spec)
        due = min(until, now + step) if now < until else now + step
        parts.store.write(lambda tx: tx.schedule("remediation", remediation.id, due))


def _began_again(parts: Parts, remediation: Remediation, since: float) -> bool:
    """Say whether the alert was told of anew since it was proven, also if it was healed before we looked."""
    with parts.store.read() as reader:
        return reader.came_back(remediation.occurrence_id, since)


def _is_gone(parts: Parts, remediation: Remediation, spec: Verify) -> bool:
    health = _health(parts, remediation, spec)
    return health is not None and health.gone


def _came_back(parts: Parts, remediation: Remediation, spec: Verify, wall: float) -> None:
    """It was seen ill within the watch: it recurred, or, where the next samples say so too, is worse than before."""
    proof = dict(remediation.proof)
    health = _health(parts, remediation, spec)
    worse = 0 if health is None else worse_looks(proof, health, float(health.detail["now"]), again=True)
    since = proof.setdefault("came_back", wall)
    if 0 < worse < WORSE_LOOKS and wall - parts.jumps.moved(since) <= _longest_gap(parts):
        due = wall + parts.config.scrape_interval
        parts.record(remediation.frozen.steps, lambda tx: _again(tx, remediation, proof, due))
        return
    after = what_is_kept(parts, remediation, proof, health)
    verdict, reason = Verdict.RECURRED, Reason.RECURRED
    if worse >= WORSE_LOOKS:
        verdict, reason = Verdict.WORSE, Reason.WORSENED

    def store(tx: Tx) -> None:
        if after:
            tx.add_evidence(remediation.id, "after", after, wall)
        tx.move(remediation.id, State.INEFFECTIVE, reason, wall, verdict=verdict)

    parts.record(remediation.frozen.steps, store)


def _health(parts: Parts, remediation: Remediation, spec: Verify) -> Health | None:
    """Judge by what was stored before the effects; None where nothing was, or nothing answers."""
    proof = remediation.proof
    if "baseline" not in proof or "end" not in proof:
        return None
    try:
        now = parts.evidence.prometheus_now()
    except SourceUnavailable:
        return None
    rule = FrozenRule.from_json(proof["rule"])
    return parts.evidence.health(rule, remediation.frozen.labels, spec, proof["baseline"], float(proof["end"]), now)


def _watch_step(parts: Parts, spec: Verify) -> float:
    return max(parts.config.scrape_interval, min(15.0, spec.watch / 6))
