"""Is it still sick between two steps? The judge's answer, believed only from samples of after the effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.evidence import proof
from remediator.evidence.prometheus import Prometheus
from remediator.evidence.rules import FrozenRule
from remediator.judge import Baseline, Case, enough_samples, prepare
from remediator.model import Verify


def still_sick(
    prometheus: Prometheus, rule: FrozenRule, verify: Verify, baseline: Mapping[str, Any], end: float, now: float
) -> bool | None:
    """Given the baseline, the end of the last effect and Prometheus's present time, judge once. Never raises.

    True: the condition holds on two samples of every input newer than `end`, and on a window that lies after it.
    False: it is proven gone. None: neither can be told yet.
    """
    health = proof.look(prometheus, rule, verify, baseline, end, now)
    if health.healthy:
        return False
    if verify.healthy is not None:
        # what is declared is judged from fresh samples either way
        return True if health.detail["declared"]["value"] == "false" else None
    case = prepare(rule.text, rule.recorded)
    stored = baseline.get("rule")
    if health.detail["rule"]["value"] != "true" or not isinstance(case, Case) or stored is None:
        return None

    def ask(query: str) -> Any:
        return prometheus.query(query, now)

    fresh = enough_samples(case, baseline["labels"], Baseline.from_json(stored), (end, now), ask)
    return True if fresh else None
