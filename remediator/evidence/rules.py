"""Which rule fired an alert, frozen with everything it is made of, so that a later edit cannot move the goal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from remediator.judge import RuleText, recorded_names
from remediator.model import Json, Reason

Recorded = dict[str, tuple[RuleText, ...]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no rule could be told: `rule_unknown`, `rule_ambiguous`, `needs_declared_proof` or `blind`."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class FrozenRule:
    """One alerting rule as Prometheus has it, and the recorded rules it uses; times in seconds."""

    name: str
    group: str
    expression: str
    labels: dict[str, str]
    interval: float
    for_seconds: float
    recorded: Recorded = field(default_factory=dict)
    declared: bool = False
    """A playbook's `when:` stands in for a rule; empty where a person's word is all."""

    @property
    def text(self) -> RuleText:
        """The rule as the judge takes it."""
        return RuleText(self.name, self.expression, self.labels, self.interval, self.for_seconds)

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What two alerts must share to share an answer."""
        return self.name, self.expression, tuple(sorted(self.labels.items()))

    def to_json(self) -> Json:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "group": self.group,
            "expression": self.expression,
            "labels": dict(self.labels),
            "interval": self.interval,
            "for": self.for_seconds,
            "recorded": recorded_to_json(self.recorded),
            "declared": self.declared,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FrozenRule:
        """Given what `to_json` returned, return the rule."""
        return cls(
            name=value["name"],
            group=value["group"],
            expression=value["expression"],
            labels=dict(value["labels"]),
            interval=float(value["interval"]),
            for_seconds=float(value["for"]),
            recorded=recorded_from_json(value["recorded"]),
            # a store of before there were stand-ins does not have it
            declared=value.get("declared", False),
        )


def recorded_to_json(recorded: Mapping[str, tuple[RuleText, ...]]) -> Json:
    """Given recorded rules by name, return JSON values."""
    return {
        name: [{"expr": rule.expr, "labels": dict(rule.labels), "interval": rule.interval_seconds} for rule in rules]
        for name, rules in sorted(recorded.items())
    }


def recorded_from_json(value: Mapping[str, Any]) -> Recorded:
    """Given what `recorded_to_json` returned, return recorded rules by name."""
    return {
        name: tuple(RuleText(name, rule["expr"], dict(rule["labels"]), float(rule["interval"])) for rule in rules)
        for name, rules in value.items()
    }


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules at one moment."""

    alerts: Mapping[str, tuple[FrozenRule, ...]]
    """Alerting rules by name, not yet with their recorded rules."""
    recorded: Recorded
    external_labels: frozenset[str]
    _frozen: dict[int, FrozenRule] = field(default_factory=dict)

    def behind(self, expression: str) -> Recorded:
        """Given an expression, return the recorded rules it uses, and those that these use."""
        found: Recorded = {}
        waiting = list(recorded_names(expression))
        while waiting:
            name = waiting.pop()
            if name in self.recorded and name not in found:
                found[name] = self.recorded[name]
                waiting += [below for rule in self.recorded[name] for below in recorded_names(rule.expr)]
        return found

    def find(self, alertname: str, labels: Mapping[str, str], generator_url: str) -> FrozenRule | Trouble:
        """Given an alert, return its rule: the one of that name whose labels it has, else that of its generator URL."""
        named = self.alerts.get(alertname, ())
        fitting = [rule for rule in named if _fits(rule.labels, labels)]
        if len({rule.key for rule in fitting}) > 1:
            expression = _expression_of(generator_url)
            fitting = [rule for rule in fitting if rule.expression == expression] or fitting
        if not fitting:
            what = "no rule of this name" if not named else "no rule of this name has these labels"
            return Trouble(Reason.RULE_UNKNOWN, what)
        if len({rule.key for rule in fitting}) > 1:
            return Trouble(Reason.RULE_AMBIGUOUS, f"{len(fitting)} rules of this name fit")
        return self._freeze(fitting[0])

    def _freeze(self, rule: FrozenRule) -> FrozenRule:
        frozen = self._frozen.get(id(rule))
        if frozen is None:
            frozen = FrozenRule(
                rule.name,
                rule.group,
                rule.expression,
                rule.labels,
                rule.interval,
                rule.for_seconds,
                self.behind(rule.expression),
            )
            self._frozen[id(rule)] = frozen
        return frozen


def read_rules(groups: list[dict[str, Any]], external_labels: frozenset[str]) -> Rules:
    """Given the groups of /api/v1/rules, return the rules. What is not formed like a rule is left out."""
    alerts: dict[str, list[FrozenRule]] = {}
    recorded: dict[str, list[RuleText]] = {}
    for group in groups:
        interval = float(group.get("interval") or 0.0)
        for rule in group.get("rules") or ():
            name, expression = rule.get("name"), rule.get("query")
            labels = {str(key): str(value) for key, value in (rule.get("labels") or {}).items()}
            if not isinstance(name, str) or not isinstance(expression, str):
                continue
            if rule.get("type") == "recording":
                recorded.setdefault(name, []).append(RuleText(name, expression, labels, interval))
            elif rule.get("type") == "alerting":
                wait = float(rule.get("duration") or 0.0)
                found = FrozenRule(name, str(group.get("name", "")), expression, labels, interval, wait)
                alerts.setdefault(name, []).append(found)
    return Rules(
        alerts={name: tuple(found) for name, found in alerts.items()},
        recorded={name: tuple(found) for name, found in recorded.items()},
        external_labels=external_labels,
    )


def _fits(of_rule: Mapping[str, str], of_alert: Mapping[str, str]) -> bool:
    # a templated label has another value on each alert, and an empty one removes the label
    return all(of_alert.get(name) == value for name, value in of_rule.items() if value and "{{" not in value)


def _expression_of(generator_url: str) -> str:
    try:
        return parse_qs(urlsplit(generator_url).query).get("g0.expr", [""])[0]
    except ValueError:
        return ""
