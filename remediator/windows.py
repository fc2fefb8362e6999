"""Maintenance windows: when they open and close, by cron and time zone, across changes of summer time.

Nothing here decides anything: the guard holds what a window covers. cronsim and zoneinfo are loaded only when a window
is configured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import islice, pairwise, takewhile
from typing import TYPE_CHECKING

from remediator.model import OpenWindow, Window

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

OPENINGS_CHECKED = 500
YEARS_CHECKED = 100
CHECKED_FROM = datetime(2024, 1, 1)
"""A fixed day, so that the same file is always judged the same."""


class Windows:
    """All windows of a configuration; what was found is kept until it can change. May be used by many threads."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = tuple(windows)
        self._known: dict[int, tuple[float, float, float | None]] = {}

    def open(self, playbook: str, target: str, now: float) -> OpenWindow | None:
        """Return the window that holds this playbook on this target now, the one that ends last, or None."""
        found = [
            OpenWindow(window.name, window.why, until)
            for number, window in enumerate(self._windows)
            if covers(window, playbook, target) and (until := self._until(number, window, now)) is not None
        ]
        return max(found, key=lambda window: window.until, default=None)

    def _until(self, number: int, window: Window, now: float) -> float | None:
        known = self._known.get(number)
        if known is None or not known[0] <= now < known[1]:
            until, opens = look(window, now)
            known = now, opens if until is None else min(until, opens), until
            self._known[number] = known
        return known[2]


def covers(window: Window, playbook: str, target: str) -> bool:
    """Say whether a window is about this playbook on this target; both lists count where both are given."""
    return _fits(window.playbooks, playbook) and _fits(window.targets, target)


def look(window: Window, now: float) -> tuple[float | None, float]:
    """Given the time, return when the window closes (None while it is closed) and when it opens next (or never, inf).

    A window lasts its span in real time. A time of opening that the clock skips comes when the clock goes on; one that
    comes twice opens it once.
    """
    until = None
    for opens in _openings(window, now):
        if opens > now:
            return until, opens
        if now < opens + window.span:
            until = opens + window.span
    return until, math.inf


def _openings(window: Window, now: float) -> Iterator[float]:
    """Yield the times of opening, in order, from the earliest that can matter at `now`."""
    from cronsim import CronSim

    begin = datetime.fromtimestamp(now - window.span, zone(window.timezone))
    for moment in CronSim(window.cron, begin):
        yield moment.timestamp()


def _fits(patterns: Sequence[str], name: str) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def zone(name: str) -> ZoneInfo:
    """Given the name of a time zone, return it. Raise ValueError with the remedy if this machine has none such."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:
        remedy = "write for example Europe/Berlin, Asia/Seoul or UTC (without the package tzdata there are none)"
        raise ValueError(f"{name[:80]!r} is no time zone that is known here; {remedy}") from error


def check_cron(text: str) -> None:
    """Raise ValueError with the remedy unless `text` is a cron expression of five fields that comes true at times."""
    from cronsim import CronSim, CronSimError

    remedy = "write minute hour day month weekday, for example 0 2 * * 6"
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"{text[:80]!r} has {len(fields)} fields instead of five; {remedy}")
    try:
        comes = next(CronSim(text, CHECKED_FROM), None)
    except (CronSimError, RecursionError) as error:
        raise ValueError(f"{text[:80]!r} is no cron expression ({error}); {remedy}") from error
    if comes is None:
        raise ValueError(f"{text[:80]!r} never comes; {remedy}")


def check_span(cron: str, span: float) -> None:
    """Raise ValueError with the remedy if a window of `span` seconds is still open when it opens again."""
    from cronsim import CronSim

    within = takewhile(lambda opens: opens.year < CHECKED_FROM.year + YEARS_CHECKED, CronSim(cron, CHECKED_FROM))
    openings = islice(within, OPENINGS_CHECKED)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(openings)]
    if gaps and (span > min(gaps) or span >= max(gaps)):
        from selfheal.common.durations import format_duration

        what = f"lasts {format_duration(span)}, and {cron!r} opens it again after {format_duration(min(gaps))}"
        raise ValueError(f"{what}; shorten for, or pause instead (selfheal pause)")
