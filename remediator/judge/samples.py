"""Are the samples new enough to prove anything? Of every input, since the end of the last effect and until now."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from remediator.judge.baseline import Key, key_of
from remediator.judge.findings import Why
from remediator.judge.inputs import Input
from remediator.judge.printer import duration, quote
from remediator.judge.questions import Questions, holds
from remediator.judge.tree import Element, Vector

_MOST_INSTANCES = 20
_MILLISECOND = 0.001
_LATE = 2.0
"""A sample that is later than this many of its series' intervals comes no more. A scrape may take one interval."""


@dataclass(slots=True)
class Samples:
    """`end` and `now` are on Prometheus's clock; `enough` samples since `end` are wanted of each series."""

    questions: Questions
    end: float
    now: float
    enough: int
    newest: float | None = None
    """The time of the newest raw sample met."""

    def window_open(self, window_ms: int) -> bool:
        """Say whether a window of this length still reaches back before `end`."""
        # a range is closed on the left in Prometheus 2, so one that begins at `end` still sees it
        return (self.now - self.end) * 1000 <= window_ms

    def missing(self, wanted: Input, expected: frozenset[Key]) -> Why | None:
        """Return what is wrong if one of the expected series (or targets) has not enough samples since, or is gone."""
        fresh = {key_of(element.labels, wanted) for element in self.fresh(wanted)}
        if expected <= fresh:
            return None
        alive = {key_of(element.labels, wanted) for element in self.alive(wanted)}
        if not expected <= alive:
            return Why.SERIES_GONE
        enough = {key_of(element.labels, wanted) for element in self._counted(wanted)}
        return Why.TOO_OLD if expected <= enough else Why.TOO_FEW_SAMPLES

    def missing_now(self, wanted: Input, before: frozenset[Key]) -> Why | None:
        """Return the same of the series that are there now and of those that were there before."""
        self.fresh(wanted)
        return self.missing(wanted, before | {key_of(element.labels, wanted) for element in self.alive(wanted)})

    def alive(self, wanted: Input) -> Vector:
        """Return the input's series that have a value now; values are sample times."""
        # timestamp() needs the bare selector: of anything else it is the time of evaluation
        return self.questions.ask(f"timestamp({wanted.text})")

    def fresh(self, wanted: Input) -> Vector:
        """Return the input's series that have enough samples since the end and are still sampled; values are times.

        After a restart of Prometheus old samples live on for minutes without staleness markers. They are told by the
        series' own rhythm: with n samples since the end, no interval can be longer than the time they took by n - 1.
        """
        # counted first: a sample that arrives between the two questions must not make the rhythm look faster
        counts = {frozenset(element.labels.items()): element.value for element in self._counted(wanted)}
        if not counts:
            return ()
        found = tuple(element for element in self.alive(wanted) if self._in_time(element, counts))
        if found and not wanted.recorded:
            newest = max(element.value for element in found)
            self.newest = newest if self.newest is None else max(newest, self.newest)
        return found

    def _in_time(self, element: Element, counts: dict[Key, float]) -> bool:
        count = counts.get(frozenset(element.labels.items()), 0.0)
        since = element.value - self.end
        # times the count, not divided by it: one sample alone has no rhythm and is never late
        return count > 0 and since > 0 and (self.now - element.value) * (count - 1) <= _LATE * since

    def _counted(self, wanted: Input) -> Vector:
        since_ms = math.floor((self.now - self.end) * 1000) - 1
        if since_ms <= wanted.lag_ms:
            return ()
        text = wanted.text
        query = f"count_over_time({text}[{duration(since_ms)}]) >= {self.enough}"
        if wanted.lag_ms:
            # what the rules above made of it rests on a sample that was there before they were last evaluated
            span, lag = duration(since_ms - wanted.lag_ms), duration(wanted.lag_ms)
            query += f" and count_over_time({text}[{span}] offset {lag})"
        return self.questions.ask(query)

    def dead(self, inputs: Iterable[Input]) -> Why | None:
        """Return NOT_SCRAPED if a target was scraped, or failed to be, later than a series of it has a sample.

        Staleness markers say the same, except after a restart of Prometheus: then old samples live on for minutes.
        Figures exposed with timestamps of their own are older than the scrape, so by them nothing is ever proven.
        """
        raw = [wanted for wanted in inputs if not wanted.recorded and wanted.name != "up"]
        series = [(wanted, found) for wanted in raw for found in self.fresh(wanted) if "instance" in found.labels]
        instances = sorted({element.labels["instance"] for _, element in series})
        if not instances:
            return None
        narrowed = "up"
        if len(instances) <= _MOST_INSTANCES:
            narrowed = f"up{{instance=~{quote('|'.join(re.escape(name) for name in instances))}}}"
        scraped: dict[str, list[Element]] = {}
        for target in self.questions.ask(f"timestamp({narrowed})"):
            scraped.setdefault(target.labels.get("instance", ""), []).append(target)
        for wanted, element in series:
            for target in scraped.get(element.labels["instance"], ()):
                late = target.value - element.value > _MILLISECOND and holds(element.labels, target.labels)
                if late and not self._caught_up(wanted, element, target.value):
                    return Why.NOT_SCRAPED
        return None

    def _caught_up(self, wanted: Input, element: Element, scraped: float) -> bool:
        """Say whether the series has that scrape's sample by now: it may have been stored between two questions."""
        answer = self.questions.ask(f"timestamp({wanted.text}) >= {scraped - _MILLISECOND:.3f}")
        return any(found.labels == element.labels for found in answer)
