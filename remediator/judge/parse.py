"""From PromQL text to our tree, by promql-parser, which is used to read only and loaded only when something is read."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from typing import Any

from remediator.judge.tree import (
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

LONGEST = 20_000
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_GROUPS = {"ManyToOne": Group.LEFT, "OneToMany": Group.RIGHT}
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


class Unreadable(ValueError):
    """The text is no PromQL that we can read; the message says why."""


@lru_cache(maxsize=512)
def parse(text: str) -> Node:
    """Given PromQL text, return its tree. Raise Unreadable if it does not parse or holds what our tree cannot say."""
    import promql_parser

    if len(text) > LONGEST:
        raise Unreadable(f"it is longer than {LONGEST} characters")
    try:
        parsed = promql_parser.parse(text)
    except ValueError as error:
        raise Unreadable(f"it does not parse: {error}") from error
    try:
        return _convert(parsed)
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error


def is_label_name(text: str) -> bool:
    """Given a text, say whether it may stand unquoted as a label's name."""
    return _LABEL.fullmatch(text) is not None


def _convert(node: Any) -> Node:
    convert = _CONVERTERS.get(type(node).__name__)
    if convert is None:
        raise Unreadable(f"it holds a {type(node).__name__}, which is not known here")
    return convert(node)


def _number(node: Any) -> Node:
    return Number(node.val)


def _text(node: Any) -> Node:
    return Text(node.val)


def _selector(node: Any) -> Selector:
    if node.at is not None:
        raise Unreadable("it is pinned to a time by @")
    if node.matchers.or_matchers:
        raise Unreadable("it joins matchers with or")
    matchers = [Matcher(m.name, _OPERATORS[str(m.op).rpartition(".")[2]], m.value) for m in node.matchers.matchers]
    name = node.name
    if name is None:
        # {__name__="x"} and {"x"} are a name in another dress
        names = [m for m in matchers if m.label == "__name__" and m.op == "="]
        if len(names) != 1:
            raise Unreadable("it selects series without one literal name")
        name = names[0].value
        matchers.remove(names[0])
    if not _NAME.fullmatch(name):
        raise Unreadable("it uses a quoted metric name")
    if any(not _LABEL.fullmatch(m.label) or m.label == "__name__" for m in matchers):
        raise Unreadable("it uses a quoted label name or a condition on the metric's name")
    return Selector(name, tuple(matchers), _signed(node.offset))


def _window(node: Any) -> Node:
    return Window(_selector(node.vector_selector), _milliseconds(node.range))


def _subquery(node: Any) -> Node:
    if node.at is not None:
        raise Unreadable("it is pinned to a time by @")
    step = None if node.step is None else _milliseconds(node.step)
    return Subquery(_convert(node.expr), _milliseconds(node.range), step, _signed(node.offset))


def _call(node: Any) -> Node:
    return Call(node.func.name, tuple(_convert(argument) for argument in node.args))


def _aggregate(node: Any) -> Node:
    labels: tuple[str, ...] = ()
    by = True
    if node.modifier is not None:
        labels = _labels(node.modifier.labels)
        by = str(node.modifier.type).endswith("By")
    parameter = None if node.param is None else _convert(node.param)
    return Aggregate(str(node.op), _convert(node.expr), labels, by, parameter)


def _binary(node: Any) -> Node:
    matching, returns_bool = Matching(), False
    modifier = node.modifier
    if modifier is not None:
        fills = modifier.fill_values
        if fills is not None and (fills.lhs is not None or fills.rhs is not None):
            raise Unreadable("it fills in missing values by fill")
        group = _GROUPS.get(str(modifier.card).rpartition(".")[2], Group.NONE)
        pairs = modifier.matching
        matching = Matching(
            labels=() if pairs is None else _labels(pairs.labels),
            on=pairs is not None and str(pairs.type).endswith("Include"),
            group=group,
            include=_labels(modifier.group_labels or ()),
        )
        returns_bool = bool(modifier.return_bool)
    return Binary(str(node.op), _convert(node.lhs), _convert(node.rhs), matching, returns_bool)


def _unary(node: Any) -> Node:
    return Negate(_convert(node.expr))


def _paren(node: Any) -> Node:
    # the printer sets its own parentheses, so ours carry no meaning
    return _convert(node.expr)


def _labels(names: Any) -> tuple[str, ...]:
    found = tuple(str(name) for name in names)
    if not all(_LABEL.fullmatch(name) for name in found):
        raise Unreadable("it uses a quoted label name")
    return found


def _milliseconds(span: timedelta) -> int:
    return round(span / timedelta(milliseconds=1))


def _signed(offset: timedelta | None) -> int:
    return 0 if offset is None else _milliseconds(offset)


_CONVERTERS = {
    "NumberLiteral": _number,
    "StringLiteral": _text,
    "VectorSelector": _selector,
    "MatrixSelector": _window,
    "SubqueryExpr": _subquery,
    "Call": _call,
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
    "UnaryExpr": _unary,
    "ParenExpr": _paren,
}
