"""What a rule compares, as a quantity that can be drawn and of which it is known which way is worse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from remediator.judge.baseline import condition_labels
from remediator.judge.case import Case, Either, Every, Formula, Leaf
from remediator.judge.flow import Labels, narrow
from remediator.judge.polarity import worse_way
from remediator.judge.printer import show
from remediator.judge.questions import holds
from remediator.judge.tree import Binary, Element, Negate, Node, Number


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

    def value(self, answer: Iterable[Element]) -> float | None:
        """Given the answer to its query, return the value of the alert's element; of several the worst."""
        values = [element.value for element in answer if holds(element.labels, self.flow)]
        return None if not values else min(values) if self.worse < 0 else max(values)

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
