"""What a quantity did before the action, and whether it did worse afterwards by more than its own noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from remediator.judge.middle import median
from remediator.judge.witness import Witness

Points = Sequence[tuple[float, float]]

LEAST_POINTS = 5
"""Values before the action below which its noise is not known, so that nothing is ever called worse."""
LEAST_SHARE = 0.05
"""Of the largest magnitude met: a change smaller than this is noise, however still the quantity was before."""


@dataclass(frozen=True, slots=True)
class Before:
    """A quantity as it was before the action. Level and slope are turned so that more is worse."""

    worse: int
    """Which way is worse: 1 or -1."""
    at: float
    """The time of its last value."""
    level: float
    """Its worst value while it was bad."""
    slope: float
    """By how much a second it was getting worse already; 0 where it was not."""
    noise: float
    """How far its values lay from its course."""

    def is_worse(self, at: float, value: float) -> bool:
        """Given a value and its time, say whether it is worse than what it was, or was becoming, by more than noise.

        What was getting worse all the time and goes on as before was not made worse by the action.
        """
        return value * self.worse > self.level + self.slope * max(at - self.at, 0.0) + self.noise

    def to_json(self) -> dict[str, float]:
        """Return it as JSON values."""
        return {"worse": self.worse, "at": self.at, "level": self.level, "slope": self.slope, "noise": self.noise}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Before:
        """Given what `to_json` returned, return the value."""
        return cls(int(value["worse"]), *(float(value[key]) for key in ("at", "level", "slope", "noise")))


def before(witness: Witness, points: Points) -> Before | None:
    """Given a quantity and its (time, value) before the action, in order, return what it was like.

    None where too little is known: too few values, none of them bad at the end, or no way that is worse. The bad values
    at the end are taken apart from the well ones before them: the step from well to ill is the fault, not noise.
    """
    known = [point for point in points if math.isfinite(point[1])]
    if len(known) < LEAST_POINTS:
        return None
    turned = [(at, value * witness.worse) for at, value in known]
    first = len(known)
    while first and witness.is_bad(known[first - 1][1]):
        first -= 1
    well, ill = turned[:first], turned[first:]
    if not ill:
        return None
    slope = max(_slope(ill) if len(ill) > 1 else _entering(turned), 0.0)
    scale = max(abs(witness.threshold), *(abs(value) for _, value in turned))
    noise = max(_spread(well, 0.0), _spread(ill, slope), LEAST_SHARE * scale)
    return Before(witness.worse, ill[-1][0], max(value for _, value in ill), slope, noise)


def _slope(points: Points) -> float:
    """Return the median change per second over all pairs, which single outliers do not move (Theil and Sen)."""
    pairs = combinations(points, 2)
    changes = [(after - value) / (later - at) for (at, value), (later, after) in pairs if later > at]
    return median(changes) if changes else 0.0


def _entering(points: Points) -> float:
    """Return the change per second with which the last of them was reached: where it came at once, that before it."""
    (first, low), (middle, between), (last, high) = points[-3:]
    return min((between - low) / (middle - first), (high - between) / (last - middle))


def _spread(points: Points, slope: float) -> float:
    """Return how far from the middle of their course the values lie at most."""
    rest = [value - slope * at for at, value in points]
    middle = median(rest) if rest else 0.0
    return max((abs(value - middle) for value in rest), default=0.0)
