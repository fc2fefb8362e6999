"""Every label and annotation that a playbook fills in exists on the alert that starts it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from remediator.check.rules import Rule
from remediator.check.world import World
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
from remediator.model import Playbook
from remediator.playbooks.templates import Reference, has_template, parse_expression, references
from selfheal.common.problems import Problem

name = "labels"
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


def check(world: World) -> Iterator[Problem]:
    """Yield every template whose label or annotation no alert of the playbook's trigger has."""
    for playbook in world.playbooks:
        rules = [rule for rule in world.alerts if rule.name == playbook.trigger.alert and not rule.for_people_only]
        for rule in rules:
            known = labels_of_rule(rule, world.rules)
            for at, reference in used(playbook):
                if reference.source == "annotations" and reference.name not in rule.annotations:
                    what = f"{rule.name} has no annotation {reference.name}"
                    yield Problem(playbook.source, at, what, "add it to the rule or use another")
                if reference.source == "labels" and not known.may_have(reference.name):
                    have = ", ".join(sorted(known.names | {"alertname"}))
                    what = f"{rule.name} has no label {reference.name}"
                    remedy = (
                        f'it has {have}; a label of a target is known by a matcher such as {{{reference.name}!=""}}'
                    )
                    yield Problem(playbook.source, at, what, remedy)


def used(playbook: Playbook) -> Iterator[tuple[str, Reference]]:
    """Given a playbook, yield every template in it with its path."""
    for key, text in playbook.target.items():
        for reference in references(text):
            yield f"target.{key}", reference
    for index, step in enumerate(playbook.steps):
        for key, value in step.arguments.items():
            if isinstance(value, str) and has_template(value):
                for reference in references(value):
                    yield f"steps[{index}].with.{key}", reference
    if playbook.verify is not None:
        for key, expression in (("healthy", playbook.verify.healthy), ("alive", playbook.verify.alive)):
            for part in parse_expression(expression or ""):
                if part.reference is not None:
                    yield f"verify.{key}", part.reference


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
    present = {matcher.label for matcher in node.matchers if _wants_some_value(matcher)}
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
        own = next((labels for start, labels in FAMILIES if node.name.startswith(start)), None)
        known = ANYTHING if own is None else Known(own | TARGET_LABELS)
        if node.name == "up":
            # it has the labels of its target, whichever these are
            known = Known(TARGET_LABELS, others=True, never=MEASURED_LABELS)
    return known.with_names(present).without(absent)


def _wants_some_value(matcher: Matcher) -> bool:
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
