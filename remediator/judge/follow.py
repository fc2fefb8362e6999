"""Recorded rules followed down to raw series, or refused where labels and windows cannot be understood."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.judge.inputs import Recorded
from remediator.judge.parse import Unreadable, parse
from remediator.judge.refusal import RefusalReason, Refused
from remediator.judge.tree import Aggregate, Call, Node, RuleText, Selector, Subquery, selectors, walk
from remediator.judge.words import AGGREGATIONS, FUNCTIONS, OTHER_AGGREGATIONS, OTHER_FUNCTIONS

DEEPEST = 8
"""Recorded rules of recorded rules beyond this are taken for a loop."""


def read(text: str) -> Node:
    """Given PromQL, return its tree. Raise Refused if it cannot be read."""
    try:
        return parse(text)
    except Unreadable as error:
        raise Refused(RefusalReason.UNREADABLE, str(error)) from error


def closure(nodes: Iterable[Node], recorded: Recorded) -> dict[str, tuple[RuleText, ...]]:
    """Return the recorded rules behind `nodes`, all the way down. Raise if one cannot be followed."""
    used: dict[str, tuple[RuleText, ...]] = {}
    for node in nodes:
        for selector in selectors(node):
            _follow(selector.name, recorded, used, ())
    return used


def _follow(name: str, recorded: Recorded, used: dict[str, tuple[RuleText, ...]], above: tuple[str, ...]) -> None:
    if name not in recorded:
        return
    if name in above or len(above) >= DEEPEST:
        raise Refused(RefusalReason.LOOP, name)
    used[name] = recorded[name]
    for rule in recorded[name]:
        try:
            node = parse(rule.expr)
            for part in walk(node):
                followed(part, expression=False)
        except (Unreadable, Refused) as error:
            why = str(error.refusal).rpartition(";")[0] if isinstance(error, Refused) else str(error)
            raise Refused(RefusalReason.RECORDED, f"`{name}` cannot be followed: {why}") from error
        for selector in selectors(node):
            _follow(selector.name, recorded, used, (*above, name))


def followed(node: Node, *, expression: bool) -> None:
    """Raise unless labels and windows of this node are understood, as a recorded rule or a `healthy:` needs."""
    match node:
        case Call(function=function) if function not in FUNCTIONS | OTHER_FUNCTIONS:
            raise Refused(RefusalReason.FUNCTION, function)
        case Call(function="absent" | "absent_over_time" as function) if expression:
            # a series that vanished must never be called healthy
            raise Refused(RefusalReason.FUNCTION, function)
        case Aggregate(op=op) if op not in AGGREGATIONS | OTHER_AGGREGATIONS:
            raise Refused(RefusalReason.AGGREGATION, op)
        case Aggregate(op="topk" | "bottomk" as op) if expression:
            raise Refused(RefusalReason.AGGREGATION, op)
        case Call(function="min_over_time" | "max_over_time" as function) if not expression:
            # one sample may hide the fault for a whole window, and inside a recorded value that cannot be seen
            raise Refused(RefusalReason.FUNCTION, function)
        case Selector(offset_ms=offset) | Subquery(offset_ms=offset) if offset < 0:
            raise Refused(RefusalReason.OFFSET, node)
        case _:
            return
