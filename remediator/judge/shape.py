"""Which expressions can be judged, decided before anything runs: gates taken off, the rest accepted or refused.

What is accepted is a short list. Better to refuse, and have the operator declare `healthy:`, than to guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from remediator.judge.flow import Labels, carries, is_scalar, matched, narrow
from remediator.judge.inputs import Recorded, window_ms
from remediator.judge.parse import Unreadable, parse
from remediator.judge.polarity import Signs, signs_of
from remediator.judge.printer import show
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
    walk,
)

AGGREGATIONS = frozenset({"sum", "avg", "min", "max", "count", "group"})
_COMPARED = """rate irate increase delta idelta deriv predict_linear avg_over_time max_over_time min_over_time
sum_over_time last_over_time abs ceil floor round sqrt clamp clamp_min clamp_max time"""
_FOLLOWED = """count_over_time quantile_over_time stddev_over_time stdvar_over_time present_over_time changes resets
holt_winters histogram_quantile exp ln log2 log10 sgn sort sort_desc timestamp scalar vector label_replace label_join
absent absent_over_time hour minute month year day_of_month day_of_week day_of_year days_in_month
pi deg rad sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh"""
FUNCTIONS = frozenset(_COMPARED.split())
# in a recorded rule or in `healthy:` the value is taken as it is; only labels and windows must be understood
OTHER_FUNCTIONS = frozenset(_FOLLOWED.split())
OTHER_AGGREGATIONS = frozenset({"topk", "bottomk", "quantile", "stddev", "stdvar", "count_values"})
DEEPEST = 8
"""Recorded rules of recorded rules beyond this are taken for a loop."""

REMEDY = "declare `healthy:` in the playbook"


class RefusalReason(StrEnum):
    """Why an expression cannot be judged."""

    UNREADABLE = "unreadable"  # not PromQL that we can read
    PRESENCE = "presence"  # fires because something exists; nothing is compared
    NOTHING_MEASURED = "nothing_measured"  # compares constants
    BOOL = "bool"  # a bool comparison is never empty, so it never says "not any more"
    NESTED = "nested"  # a comparison inside a comparison
    BAND = "band"  # what is worse would look healthy
    UNRELATED = "unrelated"  # `and` of things that do not measure the same fault
    MIXED = "mixed"  # an `or` inside an `and`
    SET_IN_VALUE = "set_in_value"  # and, unless, or an `or` in what is compared
    INCLUDE = "include"  # group_left or group_right copies labels from the other side
    FUNCTION = "function"  # a function whose behaviour here is not known well enough
    AGGREGATION = "aggregation"  # an aggregation that looks healthy when others are worse
    OFFSET = "offset"  # compared with its own past or future
    SUBQUERY = "subquery"  # an expression over time
    LOOP = "loop"  # a recorded rule that is made from itself
    RECORDED = "recorded"  # a recorded input that cannot be followed to its raw series
    ALWAYS = "always"  # a `healthy:` that returns something whatever happens
    LOSES_INSTANCE = "loses_instance"  # a `healthy:` whose result no longer says of which instance it is


_TEXTS: Mapping[RefusalReason, str] = {
    RefusalReason.UNREADABLE: "{part}",
    RefusalReason.PRESENCE: "it fires because `{part}` exists, nothing is compared",
    RefusalReason.NOTHING_MEASURED: "`{part}` compares no series",
    RefusalReason.BOOL: "`{part}` is a bool comparison, which always returns something",
    RefusalReason.NESTED: "`{part}` is a comparison inside a comparison",
    RefusalReason.BAND: "`{part}` is a band: what is worse would look healthy",
    RefusalReason.UNRELATED: "`{part}` does not measure the same fault as what stands before its `and`",
    RefusalReason.MIXED: "`{part}` is an `or` inside an `and`",
    RefusalReason.SET_IN_VALUE: "`{part}` stands in what is compared; only a threshold on the right may hold `or`",
    RefusalReason.INCLUDE: "`{part}` copies labels from its other side",
    RefusalReason.FUNCTION: "function `{part}` is not among those that can be judged",
    RefusalReason.AGGREGATION: "aggregation `{part}` is not among those that can be judged",
    RefusalReason.OFFSET: "`{part}` is compared at another time",
    RefusalReason.SUBQUERY: "`{part}` is a subquery",
    RefusalReason.LOOP: "recorded rule `{part}` is made from itself, or from too many others",
    RefusalReason.RECORDED: "recorded rule {part}",
    RefusalReason.ALWAYS: "`{part}` returns something whatever happens",
    RefusalReason.LOSES_INSTANCE: "`{part}` drops the label instance, so another host could answer for this one",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an expression is not judged, and by which part of it."""

    reason: RefusalReason
    part: str
    remedy: str = REMEDY

    def __str__(self) -> str:
        return f"{_TEXTS[self.reason].format(part=self.part)}; {self.remedy}"


class Proof(StrEnum):
    """How soon an alert can be proven healed."""

    TWO_SCRAPES = "two_scrapes"  # after two fresh samples
    WINDOW = "window"  # after its window has passed
    DECLARE = "declare"  # not by its own expression: `healthy:` must be declared


@dataclass(frozen=True, slots=True)
class Leaf:
    """One comparison of the formula."""

    node: Binary
    steps: tuple[Matching, ...]
    """The matchings of the `and`s whose right side it stands on, outermost first."""
    window_ms: int
    instant: Node | None
    """The comparison with `min_over_time` and `max_over_time` replaced by the value now: a blip must not count."""

    def flow(self, labels: Labels) -> dict[str, str]:
        """Given the labels that hold on the whole expression, return those that hold on this comparison's result."""
        held = dict(labels)
        for step in self.steps:
            held = matched(step, held)
        return held


@dataclass(frozen=True, slots=True)
class Every:
    """Parts joined by `and`, those provable soonest first."""

    parts: tuple[Leaf, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Parts joined by `or`."""

    parts: tuple[Formula, ...]


Formula = Leaf | Every | Either


@dataclass(frozen=True, slots=True)
class Case:
    """A rule whose expression can be judged."""

    rule: RuleText
    recorded: Recorded
    formula: Formula
    proof: Proof
    window_seconds: float
    """What must have passed since the action before the rule can be proven healed; 0 where two scrapes are enough."""
    longest_seconds: float
    """The longest window anywhere in it: a watch must be longer than this and the rule's `for`."""


@dataclass(frozen=True, slots=True)
class ExpressionCase:
    """A `healthy:` or `alive:` expression: returns something when all is well."""

    expr: str
    node: Node
    recorded: Recorded
    window_seconds: float


class _Refused(Exception):
    def __init__(self, reason: RefusalReason, node: Node | str) -> None:
        part = node if isinstance(node, str) else show(node)
        self.refusal = Refusal(reason, part if len(part) <= 200 else part[:197] + "…")


def prepare(rule: RuleText, recorded: Recorded) -> Case | Refusal:
    """Given an alert rule and the recorded rules by name, return the case to judge, or why it cannot be judged."""
    try:
        node = _read(rule.expr)
        formula = _formula(node, (), recorded)
        used = _closure((leaf.node for leaf in leaves(formula)), recorded)
    except _Refused as refused:
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


def prepare_expression(expr: str, recorded: Recorded) -> ExpressionCase | Refusal:
    """Given a `healthy:` or `alive:` expression, return the case to judge, or why it cannot be judged."""
    try:
        node = _read(expr)
        _returns_nothing_when_ill(node)
        if not carries(node, "instance"):
            raise _Refused(RefusalReason.LOSES_INSTANCE, node)
        for part in walk(node):
            _followed(part, expression=True)
        used = _closure((node,), recorded)
    except _Refused as refused:
        return Refusal(refused.refusal.reason, refused.refusal.part, "write an expression over measured series")
    return ExpressionCase(expr, node, used, window_ms(node, used) / 1000)


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


def leaves(formula: Formula) -> tuple[Leaf, ...]:
    """Given a formula, return its comparisons."""
    match formula:
        case Leaf():
            return (formula,)
        case Every(parts=parts):
            return parts
        case Either(parts=either):
            return tuple(leaf for part in either for leaf in leaves(part))


def _read(text: str) -> Node:
    try:
        return parse(text)
    except Unreadable as error:
        raise _Refused(RefusalReason.UNREADABLE, str(error)) from error


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
            raise _Refused(RefusalReason.MIXED, text)
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
                raise _Refused(RefusalReason.BAND, new.node)
            related = True
    if not related:
        raise _Refused(RefusalReason.UNRELATED, new.node)


def leaf_signs(leaf: Leaf, recorded: Recorded) -> Signs:
    """Given a comparison, return for each selector whether more of it (+1) or less of it (-1) is worse."""
    difference = signs_of(Binary("-", leaf.node.left, leaf.node.right, leaf.node.matching), recorded)
    if leaf.node.op in (">", ">="):
        return difference
    flipped = {name: frozenset(-sign for sign in found) for name, found in difference.items()}
    if leaf.node.op in ("<", "<="):
        return flipped
    return {name: difference[name] | flipped[name] for name in difference}


def _leaf(node: Node, steps: tuple[Matching, ...], recorded: Recorded) -> Leaf:
    if not isinstance(node, Binary) or node.op not in COMPARISONS:
        raise _Refused(RefusalReason.PRESENCE, node)
    if node.returns_bool:
        raise _Refused(RefusalReason.BOOL, node)
    if not selectors(node):
        raise _Refused(RefusalReason.NOTHING_MEASURED, node)
    if node.op == "==" and node.right not in (Number(0.0), Number(1.0)):
        # other than with a flag, leaving the value may mean getting worse
        raise _Refused(RefusalReason.BAND, node)
    _value(node.left, threshold=False)
    _value(node.right, threshold=True)
    if node.matching.include:
        raise _Refused(RefusalReason.INCLUDE, node)
    _closure((node,), recorded)
    return Leaf(node, steps, window_ms(node, recorded), _instant(node))


def _value(node: Node, *, threshold: bool) -> None:
    """Raise unless this side of a comparison is on the short list, all the way down."""
    match node:
        case Binary(op=op) if op in COMPARISONS:
            raise _Refused(RefusalReason.NESTED, node)
        case Binary(op=op) if op in SET_OPERATORS and not (op == "or" and threshold):
            raise _Refused(RefusalReason.SET_IN_VALUE, node)
        case Binary() if node.matching.include:
            raise _Refused(RefusalReason.INCLUDE, node)
        case Binary(left=left, right=right):
            _value(left, threshold=threshold)
            _value(right, threshold=threshold)
        case Call(function=function) if function not in FUNCTIONS:
            raise _Refused(RefusalReason.FUNCTION, function)
        case Call(arguments=arguments):
            for argument in arguments:
                _value(argument, threshold=threshold)
        case Aggregate(op=op) if op not in AGGREGATIONS:
            raise _Refused(RefusalReason.AGGREGATION, op)
        case Aggregate(inner=inner) | Negate(inner=inner):
            _value(inner, threshold=threshold)
        case Subquery():
            raise _Refused(RefusalReason.SUBQUERY, node)
        case Selector(offset_ms=offset) | Window(selector=Selector(offset_ms=offset)) if offset:
            raise _Refused(RefusalReason.OFFSET, node)
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


def _closure(nodes: Iterable[Node], recorded: Recorded) -> dict[str, tuple[RuleText, ...]]:
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
        raise _Refused(RefusalReason.LOOP, name)
    used[name] = recorded[name]
    for rule in recorded[name]:
        try:
            node = parse(rule.expr)
            for part in walk(node):
                _followed(part, expression=False)
        except (Unreadable, _Refused) as error:
            why = str(error.refusal).rpartition(";")[0] if isinstance(error, _Refused) else str(error)
            raise _Refused(RefusalReason.RECORDED, f"`{name}` cannot be followed: {why}") from error
        for selector in selectors(node):
            _follow(selector.name, recorded, used, (*above, name))


def _followed(node: Node, *, expression: bool) -> None:
    """Raise unless labels and windows of this node are understood, as a recorded rule or a `healthy:` needs."""
    match node:
        case Call(function=function) if function not in FUNCTIONS | OTHER_FUNCTIONS:
            raise _Refused(RefusalReason.FUNCTION, function)
        case Call(function="absent" | "absent_over_time" as function) if expression:
            # a series that vanished must never be called healthy
            raise _Refused(RefusalReason.FUNCTION, function)
        case Aggregate(op=op) if op not in AGGREGATIONS | OTHER_AGGREGATIONS:
            raise _Refused(RefusalReason.AGGREGATION, op)
        case Aggregate(op="topk" | "bottomk" as op) if expression:
            raise _Refused(RefusalReason.AGGREGATION, op)
        case Call(function="min_over_time" | "max_over_time" as function) if not expression:
            # one sample may hide the fault for a whole window, and inside a recorded value that cannot be seen
            raise _Refused(RefusalReason.FUNCTION, function)
        case Selector(offset_ms=offset) | Subquery(offset_ms=offset) if offset < 0:
            raise _Refused(RefusalReason.OFFSET, node)
        case _:
            return


def _returns_nothing_when_ill(node: Node) -> None:
    match node:
        case Binary(op="or", left=left, right=right):
            _returns_nothing_when_ill(left)
            _returns_nothing_when_ill(right)
        case Binary(returns_bool=True):
            raise _Refused(RefusalReason.ALWAYS, node)
        case _ if not selectors(node) or is_scalar(node):
            raise _Refused(RefusalReason.ALWAYS, node)
