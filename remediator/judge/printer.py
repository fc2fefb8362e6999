"""From tree to PromQL text. promql-parser's own printer does not escape and drops milliseconds, hence this one."""

from __future__ import annotations

import math
import re

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
from selfheal.common.durations import format_duration

# metric names that the grammar would read as something else
_WORDS = """and or unless atan2 sum avg min max count group stddev stdvar topk bottomk count_values quantile limitk
limit_ratio by without on ignoring group_left group_right bool offset start end inf nan"""
_KEYWORDS = frozenset(_WORDS.split())
_PLAIN = re.compile(r'[^\x00-\x1f\x7f"\\]*')


def show(node: Node) -> str:
    """Given a tree, return PromQL that Prometheus answers the same way as the text the tree was read from."""
    match node:
        case Number(value=value):
            return show_number(value)
        case Text(value=value):
            return quote(value)
        case Selector():
            return _selector(node) + _offset(node.offset_ms)
        case Window(selector=selector, range_ms=range_ms):
            return f"{_selector(selector)}[{duration(range_ms)}]{_offset(selector.offset_ms)}"
        case Subquery():
            step = "" if node.step_ms is None else duration(node.step_ms)
            return f"({show(node.inner)})[{duration(node.range_ms)}:{step}]{_offset(node.offset_ms)}"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(show(argument) for argument in arguments)})"
        case Aggregate():
            return _aggregate(node)
        case Binary(op=op, left=left, right=right):
            words = " bool" if node.returns_bool else ""
            return f"{_operand(left)} {op}{words}{show_matching(node.matching)} {_operand(right)}"
        case Negate(inner=inner):
            return f"-({show(inner)})"


def show_number(value: float) -> str:
    """Given a number, return it as a PromQL literal that reads back as the same number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def show_matching(matching: Matching) -> str:
    """Given how two sides are paired, return the words after the operator, with a leading blank, or nothing."""
    words = ""
    if matching.on or matching.labels or matching.group is not Group.NONE:
        words = f" {'on' if matching.on else 'ignoring'} ({', '.join(matching.labels)})"
    if matching.group is not Group.NONE:
        words += f" {matching.group.value} ({', '.join(matching.include)})"
    return words


def quote(text: str) -> str:
    """Given any text, return it as a double-quoted PromQL string that cannot be left early."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return '"' + "".join(_escape(letter) for letter in text) + '"'


def duration(milliseconds: int) -> str:
    """Given milliseconds, return a PromQL duration, exact."""
    return format_duration(milliseconds / 1000)


def _escape(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if letter == "\n":
        return "\\n"
    return f"\\u{ord(letter):04x}" if letter < " " or letter == "\x7f" else letter


def _selector(node: Selector) -> str:
    matchers = node.matchers
    name = node.name
    if name.lower() in _KEYWORDS:
        matchers = (Matcher("__name__", "=", name), *matchers)
        name = ""
    inside = ", ".join(f"{matcher.label}{matcher.op}{quote(matcher.value)}" for matcher in matchers)
    return f"{name}{{{inside}}}" if inside else name


def _offset(milliseconds: int) -> str:
    if milliseconds == 0:
        return ""
    sign = "-" if milliseconds < 0 else ""
    return f" offset {sign}{duration(abs(milliseconds))}"


def _aggregate(node: Aggregate) -> str:
    grouping = f" {'by' if node.by else 'without'} ({', '.join(node.labels)})" if node.labels or not node.by else ""
    parameter = "" if node.parameter is None else f"{show(node.parameter)}, "
    return f"{node.op}{grouping} ({parameter}{show(node.inner)})"


def _operand(node: Node) -> str:
    text = show(node)
    # a minus binds looser than ^, and nested operators are never left to precedence
    return f"({text})" if isinstance(node, Binary | Negate) or text.startswith("-") else text
