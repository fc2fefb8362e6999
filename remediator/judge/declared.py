"""`healthy:` and `alive:`: expressions that return something when all is well, accepted or refused."""

from __future__ import annotations

from remediator.judge.case import ExpressionCase
from remediator.judge.flow import carries, is_scalar
from remediator.judge.follow import closure, followed, read
from remediator.judge.inputs import Recorded, window_ms
from remediator.judge.refusal import Refusal, RefusalReason, Refused
from remediator.judge.tree import Binary, Node, selectors, walk

_FILTERS = frozenset({"==", "!=", ">", "<", ">=", "<=", "and", "unless"})


def prepare_expression(expr: str, recorded: Recorded) -> ExpressionCase | Refusal:
    """Given a `healthy:` or `alive:` expression, return the case to judge, or why it cannot be judged."""
    try:
        node = read(expr)
        _returns_nothing_when_ill(node)
        if not carries(node, "instance"):
            raise Refused(RefusalReason.LOSES_INSTANCE, node)
        for part in walk(node):
            followed(part, expression=True)
        used = closure((node,), recorded)
    except Refused as refused:
        return Refusal(refused.refusal.reason, refused.refusal.part, "write an expression over measured series")
    return ExpressionCase(expr, node, used, window_ms(node, used) / 1000)


def prepare_quorum(expr: str) -> Refusal | None:
    """Given an expression that must return something while enough is healthy, say why it cannot tell that, or None."""
    try:
        node = read(expr)
        _returns_nothing_when_ill(node)
        if not any(_filters(part) for part in walk(node)):
            raise Refused(RefusalReason.ALWAYS, node)
    except Refused as refused:
        return Refusal(refused.refusal.reason, refused.refusal.part, "compare, as in count(up == 1) >= 3")
    return None


def _filters(node: Node) -> bool:
    return isinstance(node, Binary) and not node.returns_bool and node.op in _FILTERS


def _returns_nothing_when_ill(node: Node) -> None:
    match node:
        case Binary(op="or", left=left, right=right):
            _returns_nothing_when_ill(left)
            _returns_nothing_when_ill(right)
        case Binary(returns_bool=True):
            raise Refused(RefusalReason.ALWAYS, node)
        case _ if not selectors(node) or is_scalar(node):
            raise Refused(RefusalReason.ALWAYS, node)
