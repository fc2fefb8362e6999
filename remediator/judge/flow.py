"""Which labels of the alert must hold on which part of its expression, and narrowing selectors by them.

Narrowing serves the witness and freshness only. The question itself is always asked whole: a threshold series lacks the
alert's labels, so a narrowed question would come back empty, and empty looks healthy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from remediator.judge.parse import is_label_name
from remediator.judge.tree import (
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Group,
    Matcher,
    Matching,
    Negate,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    Window,
)

Labels = Mapping[str, str]

_PICKING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
_SCALAR_CALLS = frozenset({"time", "pi", "scalar"})
_NOTHING_HOLDS = frozenset({"absent", "absent_over_time", "scalar", "vector"})
_REWRITING = frozenset({"label_replace", "label_join"})


def is_scalar(node: Node) -> bool:
    """Given a node, say whether it is one number without labels, as PromQL types it."""
    match node:
        case Number():
            return True
        case Negate(inner=inner):
            return is_scalar(inner)
        case Call(function=function):
            return function in _SCALAR_CALLS
        case Binary(left=left, right=right):
            return is_scalar(left) and is_scalar(right)
        case _:
            return False


def keep(labels: Labels, names: tuple[str, ...]) -> dict[str, str]:
    """Given labels, return those whose names are listed."""
    return {name: value for name, value in labels.items() if name in names}


def drop(labels: Labels, names: tuple[str, ...]) -> dict[str, str]:
    """Given labels, return those whose names are not listed."""
    return {name: value for name, value in labels.items() if name not in names}


def matched(matching: Matching, labels: Labels) -> dict[str, str]:
    """Given how two sides are paired and the labels that hold on the result, return those both sides must share."""
    return keep(labels, matching.labels) if matching.on else drop(labels, matching.labels)


def into_sides(node: Binary, labels: Labels) -> tuple[dict[str, str], dict[str, str]]:
    """Given an operator and the labels that hold on its result, return those that hold on its left and right side."""
    everything = dict(labels)
    if is_scalar(node.left):
        return {}, everything
    if is_scalar(node.right):
        return everything, {}
    shared = matched(node.matching, labels)
    if node.op == "or":
        return everything, dict(labels)
    if node.op in SET_OPERATORS:
        return everything, shared
    many = drop(labels, node.matching.include)
    one = shared | keep(labels, node.matching.include)
    match node.matching.group:
        case Group.LEFT:
            return many, one
        case Group.RIGHT:
            return one, many
        case Group.NONE:
            return shared, dict(shared)


def into_aggregate(node: Aggregate, labels: Labels) -> dict[str, str]:
    """Given an aggregation and the labels that hold on its result, return those that hold inside."""
    if node.op in _PICKING:
        return dict(labels)
    if node.op == "count_values" and isinstance(node.parameter, Text):
        labels = drop(labels, (node.parameter.value,))
    return keep(labels, node.labels) if node.by else drop(labels, node.labels)


def into_call(node: Call, labels: Labels) -> dict[str, str]:
    """Given a function and the labels that hold on its result, return those that hold on its arguments."""
    if node.function in _NOTHING_HOLDS:
        return {}
    if node.function in _REWRITING and len(node.arguments) > 1 and isinstance(node.arguments[1], Text):
        return drop(labels, (node.arguments[1].value,))
    return dict(labels)


def flows(node: Node, labels: Labels) -> Iterator[tuple[Node, dict[str, str]]]:
    """Given a node and the labels that hold on its result, yield each child with those that hold there."""
    match node:
        case Window(selector=selector):
            yield selector, dict(labels)
        case Subquery(inner=inner) | Negate(inner=inner):
            yield inner, dict(labels)
        case Call(arguments=arguments):
            below = into_call(node, labels)
            for argument in arguments:
                yield argument, {} if is_scalar(argument) else below
        case Aggregate(inner=inner, parameter=parameter):
            if parameter is not None:
                yield parameter, {}
            yield inner, into_aggregate(node, labels)
        case Binary(left=left, right=right):
            on_left, on_right = into_sides(node, labels)
            yield left, on_left
            yield right, on_right
        case _:
            return


def selector_flows(node: Node, labels: Labels) -> Iterator[tuple[Selector, dict[str, str]]]:
    """Given a node and the labels that hold on its result, yield every selector with the labels that hold on it."""
    if isinstance(node, Selector):
        yield node, dict(labels)
        return
    for child, below in flows(node, labels):
        yield from selector_flows(child, below)


def narrow_selector(selector: Selector, labels: Labels) -> Selector:
    """Given a selector and labels that hold on it, return it with one exact condition more for each."""
    more = tuple(
        Matcher(name, "=", labels[name])
        for name in sorted(labels)
        # a name that must be quoted is left out: asking of more series is only stricter
        if is_label_name(name) and Matcher(name, "=", labels[name]) not in selector.matchers
    )
    return replace(selector, matchers=selector.matchers + more)


def narrow(node: Node, labels: Labels) -> Node:
    """Given a node and the labels that hold on its result, return it with every selector narrowed along the flow."""
    if isinstance(node, Selector):
        return narrow_selector(node, labels)
    below = [narrow(child, held) for child, held in flows(node, labels)]
    match node:
        case Window():
            inner = below[0]
            assert isinstance(inner, Selector)
            return replace(node, selector=inner)
        case Subquery() | Negate():
            return replace(node, inner=below[0])
        case Call():
            return replace(node, arguments=tuple(below))
        case Aggregate():
            return replace(node, inner=below[-1])
        case Binary():
            return replace(node, left=below[0], right=below[1])
        case _:
            return node


def carries(node: Node, label: str) -> bool:
    """Given a node, say whether its result keeps a label that all of its series have."""
    match node:
        case Selector() | Window():
            return True
        case Subquery(inner=inner) | Negate(inner=inner):
            return carries(inner, label)
        case Call(function=function, arguments=arguments):
            below = label in into_call(node, {label: ""})
            vectors = [argument for argument in arguments if not is_scalar(argument) and not isinstance(argument, Text)]
            return below and function not in _SCALAR_CALLS and any(carries(vector, label) for vector in vectors)
        case Aggregate(inner=inner):
            return label in into_aggregate(node, {label: ""}) and carries(inner, label)
        case Binary():
            return _binary_carries(node, label)
        case _:
            return False


def _binary_carries(node: Binary, label: str) -> bool:
    left, right = carries(node.left, label), carries(node.right, label)
    if is_scalar(node.left) or is_scalar(node.right):
        return left or right
    if node.op == "or":
        return left and right
    if node.op in SET_OPERATORS or node.matching.group is Group.LEFT:
        return left
    if node.matching.group is Group.RIGHT:
        return right
    return left and right and label in matched(node.matching, {label: ""})
