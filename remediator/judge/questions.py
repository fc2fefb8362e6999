"""The questions of one judgement: each put once, and noted with what came back."""

from __future__ import annotations

from dataclasses import dataclass, field

from remediator.judge.findings import Reading
from remediator.judge.flow import Labels
from remediator.judge.tree import Ask, Vector


def holds(labels: Labels, wanted: Labels) -> bool:
    """Given an element's labels, say whether it has the wanted ones; an empty label is an absent one."""
    return all(labels.get(name, "") == value for name, value in wanted.items())


@dataclass(slots=True)
class Questions:
    """What was asked so far."""

    put: Ask
    answers: dict[str, Vector] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)

    def ask(self, query: str, ours: Labels | None = None) -> Vector:
        """Given a query, return its answer, asked for now or earlier; `ours` tells which elements are worth noting."""
        if query not in self.answers:
            self.answers[query] = self.put(query)
            self.readings.append(Reading(query, _summary(self.answers[query], ours)))
        return self.answers[query]


def _summary(answer: Vector, ours: Labels | None) -> str:
    """Return counts and values only: labels are other people's text."""
    if ours is None:
        return f"{len(answer)} series"
    values = [element.value for element in answer if holds(element.labels, ours)]
    shown = ", ".join(f"{value:.6g}" for value in values[:3])
    return f"{len(answer)} series, {len(values)} of this alert" + (f": {shown}" if shown else "")
