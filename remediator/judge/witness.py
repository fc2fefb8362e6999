"""What a rule, or `healthy:`, compares: a quantity that can be drawn and of which it is known which way is worse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from remediator.judge.baseline import condition_labels
from remediator.judge.case import Case, Either, Every, ExpressionCase, Formula, Leaf
from remediator.judge.flow import Labels, into_sides, narrow
from remediator.judge.inputs import window_ms
from remediator.judge.polarity import worse_way
from remediator.judge.printer import show
from remediator.judge.questions import holds
from remediator.judge.tree import Binary, Element, Negate, Node, Number

_ILL = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
"""What is true of a quantity for which a comparison is not."""


@dataclass(frozen=True, slots=True)
class Witness:
    """The compared quantity of one comparison, for the alert's own element."""

    leaf: Leaf
    flow: Labels
    """The labels that its element must have."""
    query: str
    """The measured side where the other one is a constant, else left minus right; narrowed to the alert."""
    threshold: float
    """The constant it is compared with; 0 for a difference."""
    worse: int
    """1: more of it is worse; -1: less of it is worse; 0: it only has a good and a bad value."""
    best: bool = False
    """Of several elements the best one speaks: of what is declared healthy one is enough."""

    def value(self, answer: Iterable[Element]) -> float | None:
        """Given the answer to its query, return the value of the alert's element; of several the one that speaks."""
        values = [element.value for element in answer if holds(element.labels, self.flow)]
        return self.pick(values) if values else None

    def pick(self, values: Iterable[float]) -> float:
        """Given values of several elements, at least one, return the one that speaks for all."""
        return max(values) if (self.worse < 0) is self.best else min(values)

    def is_bad(self, value: float) -> bool:
        """Given a value of it, say whether the comparison holds for it; False where no way is worse."""
        beyond = (value - self.threshold) * self.worse
        return beyond > 0 or (beyond == 0 and self.worse != 0 and self.leaf.node.op in (">=", "<="))


def witnesses(case: Case, labels: Labels) -> tuple[Witness, ...]:
    """Given a case and the alert's labels (without external ones), return what is compared, once for each branch.

    Of comparisons joined by `and` the one that can be proven soonest stands for all: they measure the same fault.
    """
    held = condition_labels(case, labels)
    found = {witness.query: witness for leaf in _chief(case.formula) if (witness := _witness(leaf, leaf.flow(held)))}
    return tuple(found.values())


def declared_witnesses(case: ExpressionCase, labels: Labels) -> tuple[Witness, ...]:
    """Given what `healthy:` declares and the labels to narrow by, return what it compares, turned round: ill is bad.

    Nothing where it is no comparison, nor several that are joined by `and`: then nobody can say what is worse.
    """
    found: dict[str, Witness] = {}
    for node, flow in _conditions(case.node, labels):
        ill = replace(node, op=_ILL[node.op])
        leaf = Leaf(ill, (), window_ms(node, case.recorded), None)
        witness = replace(_witness(leaf, flow), best=True)
        found[witness.query] = witness
    return tuple(found.values())


def _conditions(node: Node, flow: Labels) -> Iterator[tuple[Binary, Labels]]:
    match node:
        case Binary(op="and", left=left, right=right):
            on_left, on_right = into_sides(node, flow)
            yield from _conditions(left, on_left)
            yield from _conditions(right, on_right)
        case Binary(op=op, returns_bool=False) if op in _ILL:
            yield node, flow


def _chief(formula: Formula) -> tuple[Leaf, ...]:
    match formula:
        case Leaf():
            return (formula,)
        case Every(parts=parts):
            return parts[:1]
        case Either(parts=parts):
            return tuple(leaf for part in parts for leaf in _chief(part))


def _witness(leaf: Leaf, flow: Labels) -> Witness:
    narrowed = narrow(leaf.node, flow)
    assert isinstance(narrowed, Binary)
    worse = worse_way(leaf.node.op)
    right, left = _constant(narrowed.right), _constant(narrowed.left)
    if right is not None:
        return Witness(leaf, flow, show(narrowed.left), right, worse)
    if left is not None:
        return Witness(leaf, flow, show(narrowed.right), left, -worse)
    return Witness(leaf, flow, show(replace(narrowed, op="-")), 0.0, worse)


def _constant(node: Node) -> float | None:
    match node:
        case Number(value=value):
            return value
        case Negate(inner=Number(value=value)):
            return -value
        case _:
            return None
