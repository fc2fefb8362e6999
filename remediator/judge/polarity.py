"""Whether more or less of a series makes an expression larger. Used to tell a floor from a band in an `and`."""

from __future__ import annotations

from remediator.judge.inputs import Recorded
from remediator.judge.parse import parse
from remediator.judge.printer import show
from remediator.judge.tree import Aggregate, Binary, Call, Negate, Node, Number, Selector, Subquery, Window, children

Signs = dict[str, frozenset[int]]
"""By selector, as printed: {1} larger with it, {-1} smaller with it, both where that cannot be told."""

_RISING_WORDS = """rate irate increase delta idelta deriv predict_linear avg_over_time max_over_time min_over_time
sum_over_time last_over_time ceil floor round sqrt clamp clamp_min clamp_max"""
_RISING = frozenset(_RISING_WORDS.split())
_BOTH = frozenset({1, -1})


def signs_of(node: Node, recorded: Recorded) -> Signs:
    """Given an expression, return the sign of each selector in it, through recorded rules; quantities count as ≥ 0."""
    match node:
        case Selector(name=name, matchers=matchers):
            # other conditions select another quantity: one may be ill while its namesake is only a switch
            found: Signs = {show(Selector(name, matchers)): frozenset({1})}
            for rule in recorded.get(name, ()):
                found = _merge(found, signs_of(parse(rule.expr), recorded))
            return found
        case Window(selector=selector):
            return signs_of(selector, recorded)
        case Subquery(inner=inner):
            return signs_of(inner, recorded)
        case Negate(inner=inner):
            return _flip(signs_of(inner, recorded))
        case Aggregate(op="group" | "count"):
            # how large its members are does not matter
            return {}
        case Aggregate(op="sum" | "avg" | "min" | "max", inner=inner):
            return signs_of(inner, recorded)
        case Call(function=function, arguments=arguments) if function in _RISING and arguments:
            return signs_of(arguments[0], recorded)
        case Binary(op="+" | "or", left=left, right=right):
            return _merge(signs_of(left, recorded), signs_of(right, recorded))
        case Binary(op="-", left=left, right=right):
            return _merge(signs_of(left, recorded), _flip(signs_of(right, recorded)))
        case Binary(op="*", left=left, right=right):
            return _merge(_scaled(signs_of(left, recorded), right), _scaled(signs_of(right, recorded), left))
        case Binary(op="/", left=left, right=right):
            return _merge(_scaled(signs_of(left, recorded), right), _flip(_scaled(signs_of(right, recorded), left)))
        case _:
            below: Signs = {}
            for child in children(node):
                below = _merge(below, signs_of(child, recorded))
            return dict.fromkeys(below, _BOTH)


def worse_way(operator: str) -> int:
    """Given a comparison's operator, say whether more (+1) or less (-1) of left minus right is worse; 0 for neither."""
    if operator in (">", ">="):
        return 1
    return -1 if operator in ("<", "<=") else 0


def _merge(one: Signs, other: Signs) -> Signs:
    return {name: one.get(name, frozenset()) | other.get(name, frozenset()) for name in one.keys() | other.keys()}


def _flip(signs: Signs) -> Signs:
    return {name: frozenset(-sign for sign in found) for name, found in signs.items()}


def _scaled(signs: Signs, factor: Node) -> Signs:
    """Turn the signs round where the other side is a negative constant."""
    negative = isinstance(factor, Negate) or (isinstance(factor, Number) and factor.value < 0)
    return _flip(signs) if negative else signs
