"""A rule's text looked at from outside: which series it names, and the cheaper question that can prove it true."""

from __future__ import annotations

from remediator.judge.flow import Labels, narrow
from remediator.judge.parse import Unreadable, parse
from remediator.judge.printer import show
from remediator.judge.tree import Aggregate, Binary, Call, selectors, walk
from remediator.judge.words import AGGREGATIONS, FUNCTIONS


def recorded_names(expr: str) -> tuple[str, ...]:
    """Given PromQL, return the names of its series, in order, once each; nothing if it cannot be read."""
    try:
        return tuple(dict.fromkeys(selector.name for selector in selectors(parse(expr))))
    except Unreadable:
        return ()


def narrowed_text(expr: str, labels: Labels) -> str | None:
    """Given a rule's text and the labels its result must have, return the text narrowed along the label flow.

    Something in its answer proves the condition; nothing in its answer proves nothing, then the text must be asked
    whole. None where even the first does not hold: what can only take away must not be narrowed.
    """
    try:
        node = parse(expr)
    except Unreadable:
        return None
    for part in walk(node):
        match part:
            case Binary(op="unless"):
                return None
            case Call(function=function) if function not in FUNCTIONS:
                return None
            case Aggregate(op=op) if op not in AGGREGATIONS:
                return None
    return show(narrow(node, labels))
