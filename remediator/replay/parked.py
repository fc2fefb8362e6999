"""Passes over the questions of a held remediation that would only be answered as the last one was.

A guard that does not know the end of its hold has it asked again every few seconds. What it depends on changes only
when something is begun or ended, when alerts begin or end, or when a window of time is over: until then it sleeps, and
wakes at the very time at which it would have asked.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from remediator.guards import blast_radius, breaker, lock, monitoring
from remediator.model import Frozen, MonitoringLimits, Reason
from remediator.replay.looks import LEAST, first_from
from remediator.replay.queue import Queue

ASKED_EVERY = {
    Reason.MONITORING_BROKEN: monitoring.ASK_AGAIN,
    Reason.LOCKED: lock.ASK_AGAIN,
    Reason.BREAKER_OPEN: breaker.ASK_AGAIN,
    Reason.BLAST_RADIUS: blast_radius.ASK_AGAIN,
}
"""Seconds between two questions of a hold without a known end, by its reason."""
LONGEST = 86_400.0
"""Seconds that one sleeps at most."""
SECOND = 2.0
"""Seconds by which times that are counted in whole seconds may differ."""


class Stir(StrEnum):
    """What may change an answer."""

    ACT = "act"  # a remediation began, ended, or was judged
    BEGIN = "begin"  # so many alerts began together that the monitoring may be at fault


WAKES = {
    Stir.ACT: frozenset(ASKED_EVERY),
    # that still more began together changes nothing for those held because many did
    Stir.BEGIN: frozenset(ASKED_EVERY) - {Reason.MONITORING_BROKEN},
}


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that may be slept through."""

    frozen: Frozen
    reason: Reason
    since: float
    endless: bool = False
    """Nothing will end it but `hold_at_most`."""
    frees_at: float = math.inf
    """When it is over if nothing is begun or ended meanwhile."""
    spare: int = 0
    """So many alerts that began together may be over before that matters to the guard `monitoring`."""
    expires: float = math.inf
    """When the request to a person that it has made is over."""


@dataclass(slots=True)
class _Sleeper:
    hold: Hold
    first: float
    """When it would be asked next, and then again and again."""
    every: float
    ends: float
    spare: int
    wakes: float = math.inf
    wholly: bool = False
    """More may be another than what is known against the monitoring."""


class Parked:
    """Held remediations that sleep."""

    def __init__(self, queue: Queue, opens: Callable[[float], float], never: frozenset[Reason]) -> None:
        """`opens` says when the next maintenance window opens after a time; holds for `never` are always asked."""
        self._queue = queue
        self._opens = opens
        self._every = {reason: every for reason, every in ASKED_EVERY.items() if reason not in never}
        self._sleeping: dict[int, _Sleeper] = {}

    def sleep(self, number: int, hold: Hold, due: float, now: float) -> None:
        """Given a remediation that was just held and when it would be asked again, let it sleep if it may."""
        every = self._every.get(hold.reason)
        if every is None or abs(due - now - every) > LEAST:
            # its end is known
            return
        endless = hold.endless or hold.reason is Reason.MONITORING_BROKEN
        ends = min(hold.frees_at, hold.since + hold.frozen.limits.hold_at_most if endless else math.inf)
        self._sleeping[number] = sleeper = _Sleeper(hold, due, every, ends, hold.spare)
        self._wake(number, sleeper, min(now + LONGEST, self._opens(now), hold.expires))
        sleeper.wholly = True

    def stir(self, what: Stir, now: float) -> None:
        """Something changed: wake those whose answer may be another now."""
        wakes = WAKES[what]
        for number, sleeper in self._sleeping.items():
            if sleeper.hold.reason in wakes:
                sleeper.wholly = True
                self._wake(number, sleeper, now)

    def fewer(self, began: float, within: float, now: float) -> None:
        """An alert that began then is over: it counts no more among those that began together."""
        for number, sleeper in self._sleeping.items():
            hold = sleeper.hold
            together = abs(hold.frozen.starts_at - began) <= within + SECOND
            if hold.reason is not Reason.MONITORING_BROKEN or not together:
                continue
            sleeper.spare -= 1
            if sleeper.spare < 0 and self._wake(number, sleeper, now):
                # whatever else it was to be woken for comes later
                sleeper.wholly = False

    def forget(self, number: int) -> None:
        """Somebody else says when it is asked."""
        self._sleeping.pop(number, None)

    def awake(self, number: int, now: float) -> Hold | None:
        """It is due. Return what it was held for if only what is known against the monitoring can be another now."""
        sleeper = self._sleeping.pop(number, None)
        if sleeper is None or sleeper.wholly or now < sleeper.wakes - LEAST or now >= sleeper.ends - LEAST:
            return None
        return sleeper.hold

    def _wake(self, number: int, sleeper: _Sleeper, wanted: float) -> bool:
        """Let it be asked at the first time from then on; say whether that is earlier than before."""
        due = first_from(sleeper.first, sleeper.every, wanted)
        if self._queue.past("remediation", number, due):
            # it would have been asked at this moment before that changed
            due += sleeper.every
        due = min(due, sleeper.ends)
        if due >= sleeper.wakes or self._queue.due_of("remediation", number) is None:
            return False
        sleeper.wakes = due
        self._queue.put("remediation", number, due)
        return True


class Begun:
    """Says when so many alerts began together that the guard `monitoring` may hold."""

    def __init__(self, limits: MonitoringLimits) -> None:
        self._limits = limits
        self._begun: deque[tuple[float, str]] = deque()

    def many(self, instance: str, now: float) -> bool:
        """An alert of an instance began; say whether that makes many."""
        self._begun.append((now, instance))
        while self._begun[0][0] < now - self._limits.within - 2:
            self._begun.popleft()
        return len({each for _, each in self._begun}) >= self._limits.targets
