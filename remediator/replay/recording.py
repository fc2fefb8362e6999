"""What is replayed: which alerts were on, from when to when. Frozen values; how they are read stands beside."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from remediator.judge.middle import median

HOLE = 2.5
"""Evaluation intervals without a sample that are a hole: one evaluation may come late or be missed."""
RESEND = 60.0
"""Seconds after which Prometheus tells Alertmanager of an alert again, unless it evaluates more rarely."""
TOLD_FOR = 4
"""Such spans for which Alertmanager takes an alert for firing without hearing of it again."""
USUAL_STEP = 15.0
"""Seconds taken for the evaluation interval where nothing tells it."""


LONGEST_STEP = 300.0
"""Seconds for which Prometheus takes a sample for the present: nobody evaluates alerts more rarely."""


class Source(StrEnum):
    """Where a recording comes from."""

    PROMETHEUS = "prometheus"  # ALERTS of a running Prometheus
    OPENMETRICS = "openmetrics"  # ALERTS in a file, with timestamps
    DELIVERIES = "deliveries"  # Alertmanager's webhook bodies in a file


@dataclass(frozen=True, slots=True)
class Period:
    """One time that an alert was on, in seconds since the epoch."""

    begin: float
    end: float | None
    """None: it was on still at the end of the recording."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A time of which nothing was recorded at all."""

    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Series:
    """One alert with its labels, and when it was on, in order and apart from each other."""

    labels: Mapping[str, str]
    periods: tuple[Period, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that is replayed."""

    source: Source
    begins: float
    ends: float
    series: tuple[Series, ...]
    step: float | None = None
    """Seconds between two evaluations; None where the beginning and end of each period were told."""
    gaps: tuple[Gap, ...] = ()
    malformed: int = 0
    """Alerts of deliveries that could not be read."""
    truncated: int = 0
    """Deliveries from which Alertmanager left alerts out."""
    cut: bool = False
    """What came before the beginning is left out."""

    def occurrences(self) -> int:
        """Return how many periods there are."""
        return sum(len(series.periods) for series in self.series)

    def on_before(self) -> int:
        """Return how many alerts were on at the beginning, so that nobody knows when they began."""
        if self.step is None and not self.cut:
            return 0
        least = self.begins + (self.step or 0.0)
        return sum(series.periods[0].begin < least or series.periods[0].begin == self.begins for series in self.series)

    def instances(self) -> frozenset[str]:
        """Return the instances that alerts are about."""
        return frozenset(series.labels["instance"] for series in self.series if series.labels.get("instance"))


def gaps_in(seen: Sequence[float], begins: float, ends: float, longest: float) -> tuple[Gap, ...]:
    """Given when anything was recorded at all, in order, return the times longer than `longest` without anything."""
    marks = [begins, *(at for at in seen if begins <= at <= ends), ends]
    return tuple(Gap(earlier, later) for earlier, later in pairwise(marks) if later - earlier > longest)


def joined(periods: Iterable[Period]) -> list[Period]:
    """Return the periods in order; those that overlap, as replicas tell them, as one."""
    found: list[Period] = []
    for each in sorted(periods, key=lambda period: period.begin):
        last = found[-1] if found else None
        if last is None or (last.end is not None and each.begin >= last.end):
            found.append(each)
        elif last.end is not None:
            found[-1] = Period(last.begin, None if each.end is None else max(last.end, each.end))
    return found


def step_told(every: Iterable[Sequence[float]]) -> float | None:
    """Given the times of samples of one rule's alerts, return the usual time between two in seconds.

    None where there are too few, or they lie so far apart that each is a period of its own.
    """
    between = [later - earlier for times in every for earlier, later in pairwise(times) if later > earlier]
    usual = median(between) if between else math.inf
    return usual if usual <= LONGEST_STEP else None


def periods_of(
    times: Sequence[float],
    step: float,
    ends: float,
    gaps: Sequence[Gap] = (),
    ended: Collection[float] = (),
) -> tuple[Period, ...]:
    """Given the times of an alert's samples in order, the evaluation interval and the end, return when it was on.

    `ended` are the samples after which it is known to have ended. A hole while other things were recorded is its end.
    A hole in what was recorded at all is bridged for as long as Alertmanager takes an alert for firing that it is not
    told of again; in a longer one it ended then.
    """
    told_for = TOLD_FOR * max(step, RESEND)
    found: list[Period] = []
    begin = times[0] if times else 0.0
    for last, following in pairwise([*times, None]):
        assert last is not None
        until = ends if following is None else following
        if last in ended:
            over = last + step
        elif until - last <= HOLE * step:
            over = None
        elif not _recorded(last, until, step, gaps):
            over = last + told_for if until - last > told_for else None
        else:
            over = last + step
        if following is None:
            found.append(Period(begin, over))
        elif over is not None:
            found.append(Period(begin, min(over, following)))
            begin = following
    return tuple(found)


def _recorded(last: float, until: float, step: float, gaps: Sequence[Gap]) -> bool:
    """Say whether anything was recorded in the hole between two samples."""
    return not any(gap.begin <= last + HOLE * step and until - HOLE * step <= gap.end for gap in gaps)
