"""Reads a recording from OpenMetrics text: samples of `ALERTS` with their timestamps, in any order of series.

Only what replay needs is understood: metric name, labels, value, time in seconds. Other metrics in the file tell when
anything was recorded at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from remediator.replay.problems import NotReadable, at_line
from remediator.replay.recording import HOLE, USUAL_STEP, Recording, Series, Source, gaps_in, periods_of, step_told

ALERTS = "ALERTS"
FIRING = "firing"
LATEST = 253_370_764_800.0
"""The year 9999 in seconds: what lies beyond was written in milliseconds."""

_LABEL = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)")
Labels = tuple[tuple[str, str], ...]
"""Sorted, so that the same labels are one key."""


@dataclass(slots=True)
class _Read:
    """What was met so far."""

    heads: dict[str, Labels | None] = field(default_factory=dict)
    """By the text before a value: the labels of a firing alert, None for any other metric."""
    times: dict[Labels, list[float]] = field(default_factory=dict)
    others: set[float] = field(default_factory=set)
    """When anything else was recorded."""


def read(name: str, lines: Iterable[str]) -> Recording:
    """Given a file's name and lines, return the recording. Raise NotReadable naming the line and the remedy.

    The usual time between two samples of an alert is taken for the interval at which its rule was evaluated.
    """
    found = _Read()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            _sample(found, name, number, text)
    if not found.times:
        what = f"{name}: holds no sample of {ALERTS} with alertstate={FIRING!r}"
        raise NotReadable(f"{what}; export it with its timestamps")
    for times in found.times.values():
        times.sort()
    step = step_told(found.times.values()) or USUAL_STEP
    steps = _steps(found.times)
    every = sorted(found.others.union(*found.times.values()))
    # alerts alone say nothing of the time in which none was on
    limit = 2 * HOLE * max(step, step_told([sorted(found.others)]) or USUAL_STEP)
    gaps = gaps_in(every, every[0], every[-1], limit) if found.others else ()
    series = tuple(
        Series(dict(labels), periods_of(times, steps.get(_alert(labels)) or step, every[-1], gaps))
        for labels, times in sorted(found.times.items())
    )
    return Recording(Source.OPENMETRICS, every[0], every[-1], series, step, gaps)


def _sample(found: _Read, name: str, number: int, text: str) -> None:
    head, brace, rest = text.rpartition("}")
    if not brace:
        head, _, rest = text.partition(" ")
    words = rest.split()
    if len(words) != 2:
        what = "the sample has no timestamp" if len(words) == 1 else "is no sample"
        raise at_line(name, number, what, "write metric{labels} value time, the time in seconds")
    value, at = _number(words[0]), _number(words[1])
    if value is None or at is None or not math.isfinite(at):
        raise at_line(name, number, f"{rest.strip()[:60]!r} is no value with a time", "write numbers")
    if not 0 <= at < LATEST:
        raise at_line(name, number, f"the time {words[1][:40]} is too large", "OpenMetrics counts seconds, not more")
    if head not in found.heads:
        found.heads[head] = _labels(name, number, head, bool(brace))
    labels = found.heads[head]
    if labels is None:
        found.others.add(at)
    elif value == 1:
        # anything else ends it there: a stale marker is not a number
        found.times.setdefault(labels, []).append(at)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _labels(name: str, number: int, head: str, labelled: bool) -> Labels | None:
    """Given what stands before a value, return the alert's labels if it is one that fires; None if it is not."""
    metric, _, inside = head.partition("{")
    if not labelled or metric.strip() not in (ALERTS, ""):
        return None
    labels: dict[str, str] = {}
    at = 0
    while at < len(inside):
        match = _LABEL.match(inside, at)
        if match is None:
            remedy = 'write name="value", with \\" for a quote'
            raise at_line(name, number, f"cannot read the labels at {inside[at : at + 40]!r}", remedy)
        labels[match[1]] = _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], match[2])
        at = match.end()
    metric = labels.pop("__name__", metric.strip())
    if metric != ALERTS or labels.pop("alertstate", FIRING) != FIRING:
        return None
    if not labels.get("alertname"):
        raise at_line(name, number, f"{ALERTS} without a label alertname", "export it whole")
    return tuple(sorted(labels.items()))


def _steps(times: Mapping[Labels, list[float]]) -> dict[str, float | None]:
    """Return each alert's evaluation interval as its samples tell it: rules of one name are seldom in two groups."""
    of_alert: dict[str, list[list[float]]] = {}
    for labels, seen in times.items():
        of_alert.setdefault(_alert(labels), []).append(seen)
    return {alert: step_told(every) for alert, every in of_alert.items()}


def _alert(labels: Labels) -> str:
    return dict(labels)["alertname"]
