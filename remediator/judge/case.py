"""An expression that can be judged: its comparisons, how they are joined, and how soon they can be proven."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from remediator.judge.flow import Labels, matched
from remediator.judge.inputs import Recorded
from remediator.judge.tree import Binary, Matching, Node, RuleText


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


def leaves(formula: Formula) -> tuple[Leaf, ...]:
    """Given a formula, return its comparisons."""
    match formula:
        case Leaf():
            return (formula,)
        case Every(parts=parts):
            return parts
        case Either(parts=either):
            return tuple(leaf for part in either for leaf in leaves(part))
