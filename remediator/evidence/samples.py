"""The compared quantity over time, before and after the effects: for the page to draw, and to tell worse from noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediator.evidence.prometheus import Prometheus
from remediator.evidence.rules import FrozenRule, recorded_from_json
from remediator.judge import (
    Before,
    ExpressionCase,
    Refusal,
    Witness,
    before,
    declared_witnesses,
    prepare,
    prepare_expression,
    witnesses,
)
from remediator.judge.questions import holds
from remediator.model import Json, Verify

MOST_POINTS = 120
MOST_SERIES = 3
"""Branches of an `or` that are kept."""
SHORTEST, LONGEST, SCRAPES = 120.0, 600.0, 40
"""Seconds before the effects that are looked at: forty scrapes, within these."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One span of each quantity, with what it was like before, by query; nothing of what cannot be judged."""

    series: tuple[Json, ...]
    before: Mapping[str, Before]

    def to_json(self, effects: tuple[float, float]) -> Json:
        """Given when the effects began and ended, return what is kept as evidence; all on Prometheus's clock."""
        return {"effects": list(effects), "series": list(self.series)}


def quantities(
    rule: FrozenRule, verify: Verify | None, baseline: Mapping[str, Any], labels: Mapping[str, str]
) -> tuple[Witness, ...]:
    """Given what is to be proven, the baseline and the alert's labels, return what is measured of it.

    Of what `healthy:` declares, if that compares something; else of the rule; nothing where that cannot be judged.
    """
    own: Mapping[str, str] = baseline.get("labels", labels)
    here = {"instance": own["instance"]} if "instance" in own else {}
    if verify is not None and verify.healthy is not None:
        stored = baseline.get("healthy") or {"recorded": {}}
        declared = prepare_expression(verify.healthy, recorded_from_json(stored["recorded"]))
        if isinstance(declared, ExpressionCase) and (found := declared_witnesses(declared, here)):
            return found[:MOST_SERIES]
    case = prepare(rule.text, rule.recorded)
    if isinstance(case, Refusal):
        return ()
    # what stands in for a rule knows of the alert only where it is
    return witnesses(case, here if rule.declared else own)[:MOST_SERIES]


def look_back(prometheus: Prometheus, wanted: Sequence[Witness], at: float, scrape_interval: float) -> Samples:
    """Given quantities and when the effects began, return the minutes before. Raise SourceUnavailable."""
    span = min(max(SHORTEST, SCRAPES * scrape_interval), LONGEST)
    # counted back from the effects, so that the last value before them is among the points
    return look_on(prometheus, wanted, (at - span, at), scrape_interval)


def look_on(
    prometheus: Prometheus, wanted: Sequence[Witness], span: tuple[float, float], scrape_interval: float
) -> Samples:
    """Given quantities and a span, return it of each. Raise SourceUnavailable."""
    series: list[Json] = []
    known: dict[str, Before] = {}
    for witness in wanted:
        points = _points(prometheus, witness, span, scrape_interval)
        was = before(witness, points)
        if was is not None:
            known[witness.query] = was
        if points:
            series.append(_series(witness, points))
    return Samples(tuple(series), known)


def _points(
    prometheus: Prometheus, witness: Witness, span: tuple[float, float], interval: float
) -> list[tuple[float, float]]:
    start, end = span
    step_ms = math.ceil(max(interval, (end - start) / (MOST_POINTS - 1)) * 1000)
    count = math.floor((end - start) * 1000 / step_ms)
    found: dict[float, float] = {}
    for course in prometheus.course(witness.query, end - count * step_ms / 1000, end, step_ms):
        if not holds(course.labels, witness.flow):
            continue
        for at, value in course.points:
            found[at] = witness.pick((found.get(at, value), value))
    return sorted(found.items())


def _series(witness: Witness, points: list[tuple[float, float]]) -> Json:
    return {
        "quantity": witness.query,
        "threshold": witness.threshold,
        "worse": witness.worse,
        "points": [[round(at, 3), value] for at, value in points],
    }


def remember(samples: Samples) -> Json:
    """Given the minutes before, return what must be kept of them in a proof, as JSON values."""
    return {query: was.to_json() for query, was in samples.before.items()}


def worsened(remembered: Mapping[str, Any], bad: Mapping[str, float], at: float) -> bool:
    """Given what `remember` returned and the bad values now, by query, say whether one is worse by more than noise."""
    return any(
        Before.from_json(remembered[query]).is_worse(at, value) for query, value in bad.items() if query in remembered
    )
