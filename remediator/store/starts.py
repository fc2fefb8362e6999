"""When remediations started, kept sorted in memory: a rate over ten thousand of them is asked for in microseconds.

The store's file stays the truth: a scope is loaded when it is first asked for, and forgotten after a rollback.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from remediator.model import Rate, RateUse

TRIM_AT = 4_096
"""Starts older than every window ever asked for are dropped when there are so many."""


@dataclass(slots=True)
class _Scope:
    times: array[float]
    since: float
    """Everything later than this is in `times`."""


class Starts:
    """Start times by scope and name."""

    def __init__(self) -> None:
        self._scopes: dict[tuple[str, str], _Scope] = {}
        self._longest = 0.0
        self.changed = False
        """Whether something was added that a rollback would take back."""

    def add(self, scope: str, name: str, at: float) -> None:
        """Learn of a start."""
        self.changed = True
        found = self._scopes.get((scope, name))
        if found is not None and at > found.since:
            insort(found.times, at)

    def forget(self) -> None:
        """Forget everything: it is loaded again when it is asked for."""
        self._scopes.clear()
        self.changed = False

    def within(
        self, scope: str, name: str, since: float, now: float, load: Callable[[], Iterable[float]]
    ) -> array[float]:
        """Return the sorted start times later than `since`; `load` gives them where they are not known."""
        self._longest = max(self._longest, now - since)
        found = self._scopes.get((scope, name))
        if found is None or since < found.since:
            found = self._scopes[scope, name] = _Scope(array("d", load()), since)
        floor = bisect_right(found.times, now - self._longest)
        if floor > TRIM_AT:
            del found.times[:floor]
            found.since = now - self._longest
        first = bisect_right(found.times, since)
        return found.times if first == 0 else found.times[first:]


def use_of(scope: str, rate: Rate, times: array[float], own: float | None, now: float) -> RateUse:
    """Given the sorted starts in a rate's window, return how much is used and when there is room again.

    `own` is the start of whoever asks: it does not limit itself.
    """
    skipped = bisect_left(times, own) if own is not None else len(times)
    if skipped == len(times) or times[skipped] != own:
        skipped = len(times)
    used = len(times) - (skipped < len(times))
    if used == 0:
        return RateUse(scope, rate, 0, now)
    # where more than allowed are in the window (the limit was lowered), several must leave before there is room
    leaving = max(0, used - max(rate.count, 1))
    return RateUse(scope, rate, used, times[leaving + (leaving >= skipped)] + rate.window)
