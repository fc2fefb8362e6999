"""What was measured before the first effect: of which series fresh samples are wanted afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remediator.judge.case import Case, ExpressionCase, leaves
from remediator.judge.flow import Labels, drop
from remediator.judge.inputs import Input, Recorded, inputs_of, stricter
from remediator.judge.parse import Unreadable, parse
from remediator.judge.shape import prepare
from remediator.judge.tree import Ask, RuleText

MOST_SERIES = 2_000
"""A baseline of more series per selector is not kept; nothing can be proven by it."""

Key = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """By narrowed selector, the series (or targets) that had data before the first effect."""

    seen: Mapping[str, frozenset[Key]]
    too_many: frozenset[str] = frozenset()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, in a stable order."""
        series = {text: sorted(sorted(key) for key in keys) for text, keys in sorted(self.seen.items())}
        return {
            "seen": {text: [dict(pairs) for pairs in found] for text, found in series.items()},
            "too_many": sorted(self.too_many),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Baseline:
        """Given what `to_json` returned, return the baseline."""
        seen = {text: frozenset(frozenset(labels.items()) for labels in found) for text, found in value["seen"].items()}
        return cls(seen, frozenset(value["too_many"]))


def take_baseline(case: Case | ExpressionCase, labels: Labels, ask: Ask) -> Baseline:
    """Given a case and the alert's labels (or those to narrow by), return which inputs have data now.

    Raise SourceUnavailable if `ask` does.
    """
    seen: dict[str, frozenset[Key]] = {}
    too_many: set[str] = set()
    for wanted in inputs_for(case, labels):
        keys = frozenset(key_of(element.labels, wanted) for element in ask(wanted.text))
        if len(keys) > MOST_SERIES:
            too_many.add(wanted.text)
        else:
            seen[wanted.text] = keys
    return Baseline(seen, frozenset(too_many))


def condition_labels(case: Case, labels: Labels) -> dict[str, str]:
    """Given an alert's labels, return those that come from the rule's expression."""
    return drop(labels, ("alertname", *case.rule.labels))


def inputs_for(case: Case | ExpressionCase, labels: Labels) -> tuple[Input, ...]:
    """Given a case and the alert's labels (or those to narrow by), return all of its inputs, once each."""
    if isinstance(case, ExpressionCase):
        return inputs_of(case.node, labels, case.recorded)
    held = condition_labels(case, labels)
    found: dict[str, Input] = {}
    for leaf in leaves(case.formula):
        for new in inputs_of(leaf.node, leaf.flow(held), case.recorded):
            found[new.text] = stricter(found.get(new.text, new), new)
    return tuple(found.values())


def key_of(labels: Labels, wanted: Input) -> Key:
    """Return what must be found again: the whole series, or, where only presence matters, its target."""
    target = {name: labels[name] for name in ("job", "instance") if name in labels}
    return frozenset((target if wanted.presence and target else labels).items())


def inputs_for_text(rule: RuleText, recorded: Recorded, labels: Labels) -> tuple[Input, ...]:
    """Given a rule and an alert's labels, return its inputs; nothing if it cannot be read.

    Where it cannot be judged, what is behind its recorded inputs is left out.
    """
    case = prepare(rule, recorded)
    if isinstance(case, Case):
        return inputs_for(case, labels)
    try:
        node = parse(rule.expr)
    except Unreadable:
        return ()
    return inputs_of(node, drop(labels, ("alertname", *rule.labels)), {})
