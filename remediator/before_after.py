"""What verifying keeps of the compared quantity before and after the effects, and whether it was made worse."""

from __future__ import annotations

from remediator.evidence import FrozenRule, Health, quantities, remember, worsened
from remediator.model import Json, Remediation
from remediator.parts import Parts
from remediator.store import Tx

WORSE_LOOKS = 2
"""Looks in a row, each on newer samples, that it takes to call something worse."""


def look_back(parts: Parts, remediation: Remediation, rule: FrozenRule, proof: Json) -> None:
    """Keep, once, what the quantity did before the effects: as evidence, and in `proof` to tell worse from noise."""
    if "before" in proof or "at" not in proof["baseline"]:
        return
    wanted = quantities(rule, remediation.frozen.verify, proof["baseline"], remediation.frozen.labels)
    found = parts.evidence.before(wanted, float(proof["baseline"]["at"]), parts.config.scrape_interval)
    if found is None:
        return
    proof["before"] = remember(found)

    def store(tx: Tx) -> None:
        tx.set_proof(remediation.id, proof)
        if found.series:
            tx.add_evidence(remediation.id, "before", {"samples": found.to_json(_effects(proof))}, parts.clock.now())

    parts.record(remediation.frozen.steps, store)


def worse_looks(proof: Json, health: Health, now: float, *, again: bool) -> int:
    """Count, in `proof`, the looks in a row that saw it worse than before; `again`: none was missed between them."""
    if not worsened(proof.get("before") or {}, health.bad, now):
        proof.pop("worse", None)
        return 0
    newest = health.last_sample or now
    seen = proof.get("worse")
    if seen is None or not again:
        seen = {"since": now, "sample": newest, "looks": 1}
    elif newest > seen["sample"]:
        seen = seen | {"sample": newest, "looks": seen["looks"] + 1}
    proof["worse"] = seen
    return int(seen["looks"])


def what_is_kept(parts: Parts, remediation: Remediation, proof: Json, health: Health | None) -> Json:
    """Return what is kept as evidence at the end: the last judgement, and the samples since the effects began."""
    body: Json = {} if health is None else health.to_json()
    if health is None or "end" not in proof or "at" not in proof["baseline"]:
        return body
    rule, now = FrozenRule.from_json(proof["rule"]), float(health.detail["now"])
    wanted = quantities(rule, remediation.frozen.verify, proof["baseline"], remediation.frozen.labels)
    found = parts.evidence.since(wanted, (float(proof["baseline"]["at"]), now), parts.config.scrape_interval)
    if found is not None and found.series:
        body["samples"] = found.to_json(_effects(proof))
    return body


def _effects(proof: Json) -> tuple[float, float]:
    """Return when the effects began and ended, on Prometheus's clock."""
    return float(proof["baseline"]["at"]), float(proof["end"])
