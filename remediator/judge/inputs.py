"""What feeds an expression: its selectors narrowed along the label flow, through recorded rules down to raw series."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from remediator.judge.flow import Labels, drop, flows, narrow_selector
from remediator.judge.parse import is_label_name, parse
from remediator.judge.printer import show
from remediator.judge.tree import (
    Aggregate,
    Binary,
    Node,
    RuleText,
    Selector,
    Subquery,
    Window,
    children,
    selectors,
)

Recorded = Mapping[str, tuple[RuleText, ...]]


@dataclass(frozen=True, slots=True)
class Input:
    """One selector, narrowed, as it must be fresh."""

    text: str
    """The selector as PromQL, without offset."""
    name: str
    recorded: bool
    presence: bool
    """Only whether it is there matters (it stands below `group`), so one series of each target is enough."""
    lag_ms: int = 0
    """How late its samples may be seen in the result: one evaluation of every recorded rule between."""
    present_by: tuple[str, ...] | None = None
    """The labels of the `group by` right above it: whatever one series of such a group says, it is there by another one
    too. None where its values count, or what is above them is not so simple."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the tree we are: what holds here and what is above."""

    labels: Labels
    presence: bool = False
    lag_ms: int = 0
    present_by: tuple[str, ...] | None = None


def inputs_of(node: Node, labels: Labels, recorded: Recorded) -> tuple[Input, ...]:
    """Given a tree, the labels that hold on its result and the recorded rules, return its distinct inputs."""
    found: dict[str, Input] = {}
    for new in _inputs(node, _Place(labels), recorded):
        old = found.get(new.text, new)
        # of two places the stricter one counts
        found[new.text] = stricter(old, new)
    return tuple(found.values())


def stricter(one: Input, other: Input) -> Input:
    """Given the same input at two places, return it as it must be fresh for both."""
    return replace(
        other,
        presence=one.presence and other.presence,
        lag_ms=max(one.lag_ms, other.lag_ms),
        present_by=one.present_by if one.present_by == other.present_by else None,
    )


def _inputs(node: Node, place: _Place, recorded: Recorded) -> Iterator[Input]:
    if isinstance(node, Selector):
        yield _input(node, place, recorded)
        for rule, labels in _rules_behind(node, place.labels, recorded):
            lag_ms = place.lag_ms + round(rule.interval_seconds * 1000)
            yield from _inputs(parse(rule.expr), _Place(labels, place.presence, lag_ms), recorded)
        return
    presence = place.presence or (isinstance(node, Aggregate) and node.op == "group")
    for child, labels in flows(node, place.labels):
        yield from _inputs(child, _Place(labels, presence, place.lag_ms, _present_by(node)), recorded)


def _present_by(node: Node) -> tuple[str, ...] | None:
    """Return by which labels it matters only that there is a series right below, or None where more matters."""
    if not (isinstance(node, Aggregate) and node.op == "group" and node.by and isinstance(node.inner, Selector)):
        return None
    return node.labels if all(map(is_label_name, node.labels)) else None


def _input(selector: Selector, place: _Place, recorded: Recorded) -> Input:
    narrowed = narrow_selector(Selector(selector.name, selector.matchers), place.labels)
    return Input(
        show(narrowed), selector.name, selector.name in recorded, place.presence, place.lag_ms, place.present_by
    )


def _rules_behind(selector: Selector, labels: Labels, recorded: Recorded) -> Iterator[tuple[RuleText, dict[str, str]]]:
    """Yield the rules that can have recorded this selector, with the labels that hold on their results."""
    exact = {matcher.label: matcher.value for matcher in selector.matchers if matcher.op == "="}
    unlike = [(matcher.label, matcher.value) for matcher in selector.matchers if matcher.op == "!="]
    wanted = {name: value for name, value in (exact | dict(labels)).items() if value}
    for rule in recorded.get(selector.name, ()):
        clash = any(rule.labels.get(name, value) != value for name, value in wanted.items())
        excluded = any(rule.labels.get(name) == value for name, value in unlike)
        if not clash and not excluded:
            yield rule, drop(wanted, tuple(rule.labels))


def has_inputs(node: Node, labels: Labels, recorded: Recorded, present: Callable[[str], bool]) -> bool:
    """Given which narrowed selectors have data, say whether the expression could have had a value at all.

    Of an `or` one side is enough, as the default of a threshold is; everything else needs all of its parts.
    """
    if isinstance(node, Selector):
        if not present(_input(node, _Place(labels), recorded).text):
            return False
        behind = tuple(_rules_behind(node, labels, recorded))
        return not behind or any(has_inputs(parse(rule.expr), held, recorded, present) for rule, held in behind)
    below = tuple(flows(node, labels))
    if isinstance(node, Binary) and node.op == "or":
        # a constant never lacks data, so it must not stand in for a measured side that does
        measured = [(child, held) for child, held in below if selectors(child)]
        return not measured or any(has_inputs(child, held, recorded, present) for child, held in measured)
    return all(has_inputs(child, held, recorded, present) for child, held in below)


def window_ms(node: Node, recorded: Recorded) -> int:
    """Given a tree, return how far back, in milliseconds, its value now can reach beyond its newest samples.

    The longest path counts: ranges, subqueries and offsets add up, through recorded rules too. A recorded window ends
    at the rule's last evaluation, up to one interval ago.
    """
    below = max((window_ms(child, recorded) for child in children(node)), default=0)
    match node:
        case Window(range_ms=range_ms):
            return below + range_ms
        case Subquery(range_ms=range_ms, offset_ms=offset_ms):
            return below + range_ms + max(offset_ms, 0)
        case Selector(name=name, offset_ms=offset_ms):
            behind = [(rule, window_ms(parse(rule.expr), recorded)) for rule in recorded.get(name, ())]
            deepest = max(
                (reach + round(rule.interval_seconds * 1000) for rule, reach in behind if reach > 0), default=0
            )
            return max(offset_ms, 0) + deepest
        case _:
            return below
