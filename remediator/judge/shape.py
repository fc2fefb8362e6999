"""Which rules can be judged, decided before anything runs: gates taken off, the rest accepted or refused.

What is accepted is a short list. Better to refuse, and have the operator declare `healthy:`, than to guess.
"""

from __future__ import annotations

from collections.abc import Iterable

from remediator.judge.case import Case, Either, Every, Formula, Leaf, Proof, leaves
from remediator.judge.follow import closure, read
from remediator.judge.inputs import Recorded, window_ms
from remediator.judge.polarity import Signs, signs_of, worse_way
from remediator.judge.refusal import Refusal, RefusalReason, Refused
from remediator.judge.tree import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Matching,
    Negate,
    Node,
    Number,
    RuleText,
    Selector,
    Subquery,
    Window,
    selectors,
)
from remediator.judge.words import AGGREGATIONS, FUNCTIONS

SILENT = frozenset({"ALERTS", "ALERTS_FOR_STATE"})
"""Series that Prometheus makes of its alerts."""


def prepare(rule: RuleText, recorded: Recorded) -> Case | Refusal:
    """Given an alert rule and the recorded rules by name, return the case to judge, or why it cannot be judged."""
    try:
        node = read(rule.expr)
        formula = _formula(node, (), recorded)
        used = closure((leaf.node for leaf in leaves(formula)), recorded)
    except Refused as refused:
        return refused.refusal
    soonest = _soonest(formula)
    return Case(
        rule=rule,
        recorded=used,
        formula=formula,
        proof=Proof.WINDOW if soonest else Proof.TWO_SCRAPES,
        window_seconds=soonest / 1000,
        longest_seconds=max(leaf.window_ms for leaf in leaves(formula)) / 1000,
    )


def _soonest(formula: Formula) -> int:
    match formula:
        case Leaf():
            return formula.window_ms
        case Every(parts=parts):
            # one part proven false is enough
            return min(leaf.window_ms for leaf in parts)
        case Either(parts=either):
            return max(_soonest(part) for part in either)


def _formula(node: Node, steps: tuple[Matching, ...], recorded: Recorded) -> Formula:
    if isinstance(node, Binary) and node.op == "unless":
        # suppressed is not healthy: the right side can only hide the fault
        return _formula(node.left, steps, recorded)
    if isinstance(node, Binary) and node.op == "and":
        return _every(node, steps, recorded)
    if isinstance(node, Binary) and node.op == "or":
        return Either((_formula(node.left, steps, recorded), _formula(node.right, steps, recorded)))
    return _leaf(node, steps, recorded)


def _every(node: Binary, steps: tuple[Matching, ...], recorded: Recorded) -> Formula:
    first = _formula(node.left, steps, recorded)
    gate = not selectors(node.right) or (node.matching.on and not node.matching.labels)
    if gate:
        # it says when to tell somebody, not whether the thing is ill
        return first
    second = _formula(node.right, (*steps, node.matching), recorded)
    for side, text in ((first, node.left), (second, node.right)):
        if isinstance(side, Either):
            raise Refused(RefusalReason.MIXED, text)
    parts = (*leaves(first), *leaves(second))
    known = leaves(first)
    for new in leaves(second):
        _same_fault(known, new, recorded)
        known = (*known, new)
    return Every(tuple(sorted(parts, key=lambda leaf: leaf.window_ms)))


def _same_fault(known: Iterable[Leaf], new: Leaf, recorded: Recorded) -> None:
    """Raise unless `new` gets worse with what a comparison before it gets worse with.

    A side that measures something else (`and up == 1`) turns false for reasons that are no recovery.
    """
    signs = leaf_signs(new, recorded)
    related = False
    for other in known:
        others = leaf_signs(other, recorded)
        for name in signs.keys() & others.keys():
            if signs[name] != others[name] or len(signs[name]) > 1:
                raise Refused(RefusalReason.BAND, new.node)
            related = True
    if not related:
        raise Refused(RefusalReason.UNRELATED, new.node)


def leaf_signs(leaf: Leaf, recorded: Recorded) -> Signs:
    """Given a comparison, return for each selector whether more of it (+1) or less of it (-1) is worse."""
    difference = signs_of(Binary("-", leaf.node.left, leaf.node.right, leaf.node.matching), recorded)
    way = worse_way(leaf.node.op)
    if way > 0:
        return difference
    flipped = {name: frozenset(-sign for sign in found) for name, found in difference.items()}
    return flipped if way < 0 else {name: difference[name] | flipped[name] for name in difference}


def _leaf(node: Node, steps: tuple[Matching, ...], recorded: Recorded) -> Leaf:
    if not isinstance(node, Binary) or node.op not in COMPARISONS:
        raise Refused(RefusalReason.PRESENCE, node)
    if node.returns_bool:
        raise Refused(RefusalReason.BOOL, node)
    if not selectors(node):
        raise Refused(RefusalReason.NOTHING_MEASURED, node)
    if silent := [selector for selector in selectors(node) if selector.name in SILENT]:
        raise Refused(RefusalReason.SILENT, silent[0])
    if node.op == "==" and node.right not in (Number(0.0), Number(1.0)):
        # other than with a flag, leaving the value may mean getting worse
        raise Refused(RefusalReason.BAND, node)
    _value(node.left, threshold=False)
    _value(node.right, threshold=True)
    if node.matching.include:
        raise Refused(RefusalReason.INCLUDE, node)
    closure((node,), recorded)
    return Leaf(node, steps, window_ms(node, recorded), _instant(node))


def _value(node: Node, *, threshold: bool) -> None:
    """Raise unless this side of a comparison is on the short list, all the way down."""
    match node:
        case Binary(op=op) if op in COMPARISONS:
            raise Refused(RefusalReason.NESTED, node)
        case Binary(op=op) if op in SET_OPERATORS and not (op == "or" and threshold):
            raise Refused(RefusalReason.SET_IN_VALUE, node)
        case Binary() if node.matching.include:
            raise Refused(RefusalReason.INCLUDE, node)
        case Binary(left=left, right=right):
            _value(left, threshold=threshold)
            _value(right, threshold=threshold)
        case Call(function=function) if function not in FUNCTIONS:
            raise Refused(RefusalReason.FUNCTION, function)
        case Call(arguments=arguments):
            for argument in arguments:
                _value(argument, threshold=threshold)
        case Aggregate(op=op) if op not in AGGREGATIONS:
            raise Refused(RefusalReason.AGGREGATION, op)
        case Aggregate(inner=inner) | Negate(inner=inner):
            _value(inner, threshold=threshold)
        case Subquery():
            raise Refused(RefusalReason.SUBQUERY, node)
        case Selector(offset_ms=offset) | Window(selector=Selector(offset_ms=offset)) if offset:
            raise Refused(RefusalReason.OFFSET, node)
        case _:
            return


def _instant(node: Binary) -> Node | None:
    left, right = _now(node.left), _now(node.right)
    if left == node.left and right == node.right:
        return None
    return Binary(node.op, left, right, node.matching)


def _now(node: Node) -> Node:
    match node:
        case Call(function="min_over_time" | "max_over_time", arguments=(Window(selector=selector),)):
            return selector
        case Call():
            return Call(node.function, tuple(_now(argument) for argument in node.arguments))
        case Aggregate():
            return Aggregate(node.op, _now(node.inner), node.labels, node.by, node.parameter)
        case Binary():
            return Binary(node.op, _now(node.left), _now(node.right), node.matching, node.returns_bool)
        case Negate(inner=inner):
            return Negate(_now(inner))
        case _:
            return node
