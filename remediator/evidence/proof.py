"""The judge bound to real answers: what is stored before the first effect, and whether it is proven healthy after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remediator.evidence.prometheus import Prometheus
from remediator.evidence.rules import FrozenRule, Recorded, recorded_from_json, recorded_to_json
from remediator.judge import (
    Ask,
    Baseline,
    Case,
    Judgement,
    Refusal,
    Why,
    judge,
    judge_expression,
    prepare,
    prepare_expression,
    take_baseline,
)
from remediator.model import Json, Verify

_UNDECLARED_SPAN = 60.0


@dataclass(frozen=True, slots=True)
class Health:
    """One look after the effects. Unknown is not healthy."""

    healthy: bool
    """The condition is proven gone, or what `healthy:` declares is proven."""
    alive: bool
    """What `alive:` declares is proven; True where nothing is declared."""
    gone: bool
    """What was measured before the effects is no longer there."""
    last_sample: float | None
    """The newest raw sample met, on Prometheus's clock."""
    why: str
    detail: Json
    bad: Mapping[str, float] = field(default_factory=dict)
    """While the condition holds, or `healthy:` returns nothing: the compared quantities that are bad, by query, from
    fresh samples."""

    def to_json(self) -> Json:
        """Return what is kept as evidence."""
        return {
            "healthy": self.healthy,
            "alive": self.alive,
            "gone": self.gone,
            "last_sample": self.last_sample,
            "why": self.why,
            **self.detail,
        }


def refused(rule: FrozenRule, verify: Verify) -> str | None:
    """Given a rule and what the playbook declares, say why no proof is possible, with the remedy, or None."""
    if verify.healthy is None:
        if rule.declared:
            return "healthy: is missing; what stands in for a rule proves nothing, declare `healthy:`"
        found: object = prepare(rule.text, rule.recorded)
        if isinstance(found, Refusal):
            return f"alert {rule.name}: {found}"
    for name, expression in (("healthy", verify.healthy), ("alive", verify.alive)):
        if expression is not None:
            found = prepare_expression(expression, rule.recorded)
            if isinstance(found, Refusal):
                return f"{name}: {found}"
    return None


def take(
    prometheus: Prometheus,
    rule: FrozenRule,
    labels: Mapping[str, str],
    verify: Verify,
    behind: Callable[[str], Recorded],
) -> Json:
    """Given the alert's own labels and what the playbook declares, return the baseline. Raise SourceUnavailable."""
    now = prometheus.now()

    def ask(query: str) -> Any:
        return prometheus.query(query, now)

    found: Json = {"at": now, "labels": dict(labels), "rule": None}
    if verify.healthy is None:
        case = prepare(rule.text, rule.recorded)
        if isinstance(case, Case):
            found["rule"] = take_baseline(case, labels, ask).to_json()
    for name, expression in (("healthy", verify.healthy), ("alive", verify.alive)):
        if expression is not None:
            found[name] = _take_declared(expression, labels, behind(expression), ask)
    return found


def _take_declared(expression: str, labels: Mapping[str, str], recorded: Recorded, ask: Ask) -> Json:
    case = prepare_expression(expression, recorded)
    seen = None if isinstance(case, Refusal) else take_baseline(case, _narrowing(labels), ask).to_json()
    return {"recorded": recorded_to_json(recorded), "baseline": seen}


def look(
    prometheus: Prometheus, rule: FrozenRule, verify: Verify, baseline: Mapping[str, Any], end: float, now: float
) -> Health:
    """Given the baseline, the end of the last effect and Prometheus's present time, judge once. Never raises."""

    def ask(query: str) -> Any:
        return prometheus.query(query, now)

    labels: Mapping[str, str] = baseline["labels"]
    detail: Json = {"end": end, "now": now}
    if verify.healthy is None:
        main = _judge_rule(rule, labels, baseline, (end, now), ask)
        healthy = main.value == "false"
        detail["rule"] = main.to_json()
    else:
        main = _judge_declared(verify.healthy, labels, baseline.get("healthy"), (end, now), ask)
        healthy = main.value == "true"
        detail["declared"] = main.to_json()
    alive = True
    if verify.alive is not None:
        living = _judge_declared(verify.alive, labels, baseline.get("alive"), (end, now), ask)
        alive = living.value == "true"
        detail["living"] = living.to_json()
    return Health(healthy, alive, main.why is Why.SERIES_GONE, main.newest, main.why.value, detail, main.bad)


def healthy_before(prometheus: Prometheus, rule: FrozenRule, labels: Mapping[str, str]) -> bool:
    """Say whether the condition is proven gone now, without an effect. Raise SourceUnavailable.

    What is measured now is its own baseline, and the span asked for begins before the rule's window.
    """
    case = prepare(rule.text, rule.recorded)
    if isinstance(case, Refusal):
        return False
    now = prometheus.now()

    def ask(query: str) -> Any:
        return prometheus.query(query, now)

    end = now - case.longest_seconds - _UNDECLARED_SPAN
    return judge(case, labels, take_baseline(case, labels, ask), end, now, ask, samples=1).value == "false"


def _judge_rule(
    rule: FrozenRule, labels: Mapping[str, str], baseline: Mapping[str, Any], span: tuple[float, float], ask: Ask
) -> Judgement:
    case = prepare(rule.text, rule.recorded)
    if isinstance(case, Refusal) or baseline.get("rule") is None:
        return Judgement("unknown", Why.NO_BASELINE)
    return judge(case, labels, Baseline.from_json(baseline["rule"]), *span, ask)


def _judge_declared(
    expression: str, labels: Mapping[str, str], stored: Mapping[str, Any] | None, span: tuple[float, float], ask: Ask
) -> Judgement:
    if stored is None or stored["baseline"] is None:
        return Judgement("unknown", Why.NO_BASELINE)
    case = prepare_expression(expression, recorded_from_json(stored["recorded"]))
    if isinstance(case, Refusal):
        return Judgement("unknown", Why.NO_BASELINE)
    return judge_expression(case, _narrowing(labels), Baseline.from_json(stored["baseline"]), *span, ask)


def _narrowing(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels a declared expression is narrowed by: the target's instance, if the alert has one."""
    return {"instance": labels["instance"]} if "instance" in labels else {}
