"""Whether the monitoring behind an alert can be trusted: asked of Prometheus and of our own store for each decision.

The limits are the guard's; here is only found what it needs. Both are asked rarely however many decisions there are.
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable

from remediator.errors import SourceUnavailable
from remediator.evidence import Scraping
from remediator.model import Frozen, Monitoring, MonitoringLimits
from remediator.store import Begun, Store
from selfheal.common.clock import Clock

logger = logging.getLogger(__name__)

ANEW = 1.0
"""Seconds after which what has ended meanwhile is left out: a burst is seen at once, its end a second later."""


class Bursts:
    """Of how many instances alerts began together. What was stored last is always counted."""

    def __init__(self, store: Store, clock: Clock, within: float) -> None:
        self._store = store
        self._clock = clock
        self._within = int(within)
        self._lock = threading.Lock()
        self._begun: list[tuple[int, str]] = []
        self._known: set[tuple[int, str]] = set()
        self._counts: dict[int, int] = {}
        self._newest = 0
        self._read_at: float | None = None

    def around(self, second: int) -> int:
        """Return the largest number of instances whose alerts began in one span of `within` around that second.

        Raise StoreUnavailable if the store cannot be read.
        """
        with self._lock:
            self._read()
            if second not in self._counts:
                first = bisect_left(self._begun, (second - self._within, ""))
                last = bisect_right(self._begun, (second + self._within + 1, ""))
                self._counts[second] = most_in(self._begun[first:last], self._within)
            return self._counts[second]

    def _read(self) -> None:
        now = self._clock.monotonic()
        with self._store.read() as reader:
            if self._read_at is None or now - self._read_at >= ANEW:
                self._newest = reader.highest_occurrence()
                self._take(reader.begun(self._clock.now() - self._within), anew=True)
                self._read_at = now
            else:
                newest = reader.highest_occurrence()
                if newest > self._newest:
                    self._take(reader.begun_after(self._newest))
                    self._newest = newest

    def _take(self, found: Iterable[Begun], anew: bool = False) -> None:
        new = {(each.second, each.instance) for each in found}
        if anew:
            self._known = set()
        if not anew and new <= self._known:
            return
        self._known |= new
        self._begun = sorted(self._known)
        self._counts.clear()


def most_in(begun: Iterable[tuple[int, str]], within: int) -> int:
    """Given (second, instance) in order, return the largest number of instances in any `within` seconds."""
    there: Counter[str] = Counter()
    span: deque[tuple[int, str]] = deque()
    most = 0
    for second, instance in begun:
        span.append((second, instance))
        there[instance] += 1
        while span[0][0] < second - within:
            _, gone = span.popleft()
            there[gone] -= 1
            if not there[gone]:
                del there[gone]
        most = max(most, len(there))
    return most


class MonitoringWatch:
    """Finds out what the guard `monitoring` asks about."""

    def __init__(
        self,
        store: Store,
        scraping: Scraping,
        clock: Clock,
        limits: MonitoringLimits,
        interval: float,
        failed: Callable[[str], None],
    ) -> None:
        """`interval` is the usual scrape interval in seconds; `failed` is told the source of every failure."""
        self._bursts = Bursts(store, clock, limits.within)
        self._scraping = scraping
        self._clock = clock
        self._limits = limits
        self._interval = interval
        self._failed = failed

    def look(self, frozen: Frozen) -> Monitoring:
        """Return what is known against the monitoring behind an alert. Raise StoreUnavailable."""
        # what a person asks for has no alert that could be one of many
        begun = 0 if frozen.manual else self._bursts.around(int(min(frozen.starts_at, self._clock.now())))
        try:
            return self._asked(frozen, begun)
        except SourceUnavailable as error:
            self._failed(error.source)
            logger.warning("no evidence about the monitoring", extra={"source": error.source, "problem": error.detail})
            return Monitoring(self._limits, begun=begun, blind=True)

    def _asked(self, frozen: Frozen, begun: int) -> Monitoring:
        """Ask only what a limit in force depends on."""
        limits, started, reloaded, intervals, of = self._limits, None, None, 0.0, ""
        if limits.after_restart > 0:
            since = self._scraping.since()
            started, reloaded = since.started, since.reloaded
        if limits.scrape_gap > 0:
            gap = self._scraping.gap(frozen.labels, self._interval, limits.scrape_gap)
            intervals, of = gap.intervals, gap.of
        up = self._scraping.up() if begun >= limits.targets else None
        return Monitoring(limits, begun, up, intervals, of, started, reloaded)
