"""What is known beforehand of an alert's labels: followed through the rule's expression, without asking Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remediator.check.rules import Rule
from remediator.judge.flow import is_scalar
from remediator.judge.parse import Unreadable, parse
from remediator.judge.tree import (
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Group,
    Matcher,
    Negate,
    Node,
    Selector,
    Subquery,
    Text,
    Window,
)

TARGET_LABELS = frozenset({"instance", "job"})
FAMILIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("namedprocess_namegroup_cpu_seconds_total", frozenset({"groupname", "mode"})),
    ("namedprocess_namegroup_memory_bytes", frozenset({"groupname", "memtype"})),
    ("namedprocess_namegroup_num_procs", frozenset({"groupname"})),
    ("namedprocess_namegroup_", frozenset({"groupname", "state", "mode", "ctxswitchtype", "threadname", "wchan"})),
    ("selfheal_directory_", frozenset({"directory"})),
    ("selfheal_process_group_", frozenset({"groupname"})),
    ("node_cpu_seconds_total", frozenset({"cpu", "mode"})),
    ("node_filesystem_", frozenset({"device", "fstype", "mountpoint", "device_error"})),
    ("node_memory_", frozenset()),
    ("node_load", frozenset()),
    ("node_scrape_collector_", frozenset({"collector"})),
)
"""Labels of the families that are known, by the start of the name; first match. Others may have any label."""
MEASURED_LABELS = frozenset().union(*(labels for _, labels in FAMILIES))
"""Labels that come from what is measured, never from a target, and so are not on `up`."""
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an alert's labels: those it may have, and whether it may have others too."""

    names: frozenset[str]
    others: bool = False
    never: frozenset[str] = frozenset()

    def may_have(self, label: str) -> bool:
        """Say whether the alert may have this label."""
        return label not in self.never and (self.others or label in self.names)

    def with_names(self, names: Iterable[str]) -> Known:
        """Return the same with more labels."""
        added = frozenset(names)
        return Known(self.names | added, self.others, self.never - added)

    def without(self, names: Iterable[str]) -> Known:
        """Return the same without some labels."""
        gone = frozenset(names)
        return Known(self.names - gone, self.others, self.never | gone)

    def only(self, names: Iterable[str]) -> Known:
        """Return what is left when only these labels are kept."""
        return Known(frozenset(label for label in names if self.may_have(label)))

    def either(self, other: Known) -> Known:
        """Return what an element of one of two sides may have."""
        return Known(self.names | other.names, self.others or other.others, self.never & other.never)


NOTHING = Known(frozenset())
ANYTHING = Known(frozenset(), others=True)


def labels_of_family(series: str) -> frozenset[str] | None:
    """Given the name of a series, return the labels that it has besides those of its target; None if not known."""
    return next((labels for start, labels in FAMILIES if series.startswith(start)), None)


def labels_of_rule(rule: Rule, rules: Sequence[Rule]) -> Known:
    """Given an alert's rule and all rules, return what is known of its labels."""
    try:
        known = _labels(parse(rule.expr), rules, 0)
    except Unreadable:
        known = ANYTHING
    return known.with_names([*rule.labels, "alertname"])


def _labels(node: Node, rules: Sequence[Rule], depth: int) -> Known:
    match node:
        case Selector():
            return _selector(node, rules, depth)
        case Window(selector=inner) | Subquery(inner=inner) | Negate(inner=inner):
            return _labels(inner, rules, depth)
        case Call():
            return _call(node, rules, depth)
        case Aggregate(op="topk" | "bottomk" | "limitk" | "limit_ratio", inner=inner):
            return _labels(inner, rules, depth)
        case Aggregate(by=True):
            return _labels(node.inner, rules, depth).only(node.labels)
        case Aggregate():
            return _labels(node.inner, rules, depth).without(node.labels)
        case Binary():
            return _binary(node, rules, depth)
        case _:
            return NOTHING


def _selector(node: Selector, rules: Sequence[Rule], depth: int) -> Known:
    present = {matcher.label for matcher in node.matchers if wants_some_value(matcher)}
    absent = {matcher.label for matcher in node.matchers if matcher.op == "=" and not matcher.value}
    behind = [rule for rule in rules if not rule.is_alert and rule.name == node.name]
    if behind and depth < _DEEPEST:
        known = NOTHING
        for rule in behind:
            try:
                found = _labels(parse(rule.expr), rules, depth + 1)
            except Unreadable:
                found = ANYTHING
            known = known.either(found.with_names(rule.labels))
    else:
        own = labels_of_family(node.name)
        known = ANYTHING if own is None else Known(own | TARGET_LABELS)
        if node.name == "up":
            # it has the labels of its target, whichever these are
            known = Known(TARGET_LABELS, others=True, never=MEASURED_LABELS)
    return known.with_names(present).without(absent)


def wants_some_value(matcher: Matcher) -> bool:
    """Say whether a series must have the label to fit the matcher."""
    match matcher.op:
        case "=":
            return matcher.value != ""
        case "!=":
            return matcher.value == ""
        case "=~":
            return re.fullmatch(matcher.value, "") is None
    return re.fullmatch(matcher.value, "") is not None


def _call(node: Call, rules: Sequence[Rule], depth: int) -> Known:
    vectors = [argument for argument in node.arguments if not is_scalar(argument) and not isinstance(argument, Text)]
    if is_scalar(node) or node.function == "vector" or not vectors:
        return NOTHING
    if node.function.startswith("absent"):
        inner = vectors[0].selector if isinstance(vectors[0], Window) else vectors[0]
        matchers = inner.matchers if isinstance(inner, Selector) else ()
        return Known(frozenset(matcher.label for matcher in matchers if matcher.op == "=" and matcher.value))
    known = _labels(vectors[0], rules, depth)
    if node.function in ("label_replace", "label_join") and isinstance(node.arguments[1], Text):
        return known.with_names([node.arguments[1].value])
    return known


def _binary(node: Binary, rules: Sequence[Rule], depth: int) -> Known:
    left, right = _labels(node.left, rules, depth), _labels(node.right, rules, depth)
    if is_scalar(node.left):
        return right
    if is_scalar(node.right) or node.op in SET_OPERATORS - {"or"}:
        return left
    if node.op == "or":
        return left.either(right)
    match node.matching.group:
        case Group.LEFT:
            return left.with_names(node.matching.include)
        case Group.RIGHT:
            return right.with_names(node.matching.include)
    return left.only(node.matching.labels) if node.matching.on else left.without(node.matching.labels)
