"""Reads a recording from a running Prometheus: range queries of `ALERTS` in bounded chunks, its rules as they are now.

What is asked for is the time of each sample, not its value: so a sample that Prometheus only carries on for five
minutes, because nothing said that the alert ended, is not taken for a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from remediator.evidence.prometheus import Prometheus
from remediator.evidence.rules import Rules, read_rules
from remediator.replay.problems import NotReadable
from remediator.replay.recording import (
    HOLE,
    USUAL_STEP,
    Gap,
    Period,
    Recording,
    Series,
    Source,
    gaps_in,
    periods_of,
    step_told,
)

POINTS = 500
"""Points asked for at once for each alert: Prometheus gives up to 11,000, and all are held here for a moment."""
FIRING = 'timestamp(ALERTS{alertstate="firing"})'
ANYTHING = "max(timestamp(up))"
Labels = tuple[tuple[str, str], ...]
Told = Callable[[float], None]
"""Told from 0 to 1 how much is read."""


@dataclass(frozen=True, slots=True)
class Past:
    """A recording, and what Prometheus knows of its alerts' rules today."""

    recording: Recording
    rules: Rules


@dataclass(slots=True)
class _Times:
    """When one alert had samples, and when it was no longer there."""

    seen: list[float] = field(default_factory=list)
    _vanished: list[tuple[float, float]] = field(default_factory=list)
    """For when it was asked the last time before it was absent, and the time of the sample that was there then."""
    _asked: float | None = None
    """For when the last point was asked."""

    def take(self, points: Sequence[tuple[float, float]], step: float) -> None:
        """Take in (asked for, time of the sample) of a chunk; chunks come in order."""
        for asked, sample in points:
            self._look(asked, step)
            if not self.seen or sample > self.seen[-1]:
                self.seen.append(sample)
            self._asked = asked

    def periods(self, ends: float, asked_every: float, step: float, gaps: Sequence[Gap]) -> tuple[Period, ...]:
        """Given the end, the time between two questions and that between two evaluations, return when it was on."""
        self._look(ends, asked_every)
        # absent where it had been fresh: Prometheus marked its end. An old one was only carried on
        ended = {sample for asked, sample in self._vanished if asked - sample <= HOLE * step}
        return periods_of(self.seen, step, ends, gaps, ended)

    def _look(self, asked: float, step: float) -> None:
        """Note that it was absent, if nothing was told of it for longer than a step until then."""
        if self._asked is not None and asked - self._asked > 1.5 * step:
            self._vanished.append((self._asked, self.seen[-1]))


def read(
    prometheus: Prometheus, begins: float, ends: float, scrape_interval: float, told: Told = lambda _: None
) -> Past:
    """Given a span in seconds since the epoch, return what Prometheus has of it.

    Raise SourceUnavailable if it does not answer, NotReadable if it has nothing of that time.
    """
    groups = prometheus.rule_groups()
    rules = read_rules(groups, prometheus.external_labels())
    steps = _intervals(groups)
    step = min(steps.values(), default=USUAL_STEP)
    times: dict[Labels, _Times] = {}
    anything: set[float] = set()
    for start, end in _chunks(begins, ends, step):
        for course in prometheus.course(FIRING, start, end, round(step * 1000)):
            labels = tuple(sorted((name, value) for name, value in course.labels.items() if name != "alertstate"))
            times.setdefault(labels, _Times()).take(course.points, step)
        for course in prometheus.course(ANYTHING, start, end, round(step * 1000)):
            anything.update(value for _, value in course.points)
        told((end - begins) / (ends - begins))
    if not times and not anything:
        raise NotReadable("Prometheus has no sample of that time; give a later --from, or a recorded file with --file")
    seen = sorted(anything.union(*(each.seen for each in times.values())))
    # without `up` the alerts alone say nothing of the time in which none was on
    gaps = gaps_in(seen, begins, ends, 2 * HOLE * max(step, scrape_interval)) if anything else ()
    annotations = _annotations(groups)
    series = []
    for labels, each in sorted(times.items()):
        alert = dict(labels).get("alertname", "")
        own = steps.get(alert) or step_told([each.seen]) or step
        series.append(Series(dict(labels), each.periods(ends, step, own, gaps), annotations.get(alert, {})))
    return Past(Recording(Source.PROMETHEUS, begins, ends, tuple(series), step, gaps), rules)


def _chunks(begins: float, ends: float, step: float) -> Iterator[tuple[float, float]]:
    """Yield spans of at most POINTS points, one step apart from each other, that cover everything."""
    start = begins
    while start <= ends:
        end = min(ends, start + (POINTS - 1) * step)
        yield start, end
        start = start + POINTS * step


def _intervals(groups: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return by alert the seconds between two evaluations, the longest of several groups with rules of that name."""
    found: dict[str, float] = {}
    for group in groups:
        interval = float(group.get("interval") or USUAL_STEP)
        for rule in group.get("rules") or ():
            if rule.get("type") == "alerting":
                alert = str(rule.get("name"))
                found[alert] = max(interval, found.get(alert, interval))
    return found


def _annotations(groups: Sequence[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return by alert the annotations that are the same for every one of it: others are not kept in ALERTS."""
    found: dict[str, dict[str, str]] = {}
    for group in groups:
        for rule in group.get("rules") or ():
            if rule.get("type") == "alerting":
                written = rule.get("annotations") or {}
                constant = {str(name): str(text) for name, text in written.items() if "{{" not in str(text)}
                known = found.setdefault(str(rule.get("name")), constant)
                # of several rules of a name only what all of them say
                found[str(rule.get("name"))] = {
                    name: text for name, text in known.items() if constant.get(name) == text
                }
    return found
