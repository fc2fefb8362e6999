"""How Prometheus itself is doing: since when it runs by which rules, and whether its samples come. No judgement here.

In a storm everything here is asked once a second at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from remediator.errors import SourceUnavailable
from remediator.evidence.prometheus import Prometheus, Runtime
from remediator.evidence.shared import Shared
from remediator.judge.middle import median
from remediator.judge.printer import duration, quote
from selfheal.common.clock import Clock

ANSWER_AGE = 1.0
UP_AGE = 10.0
LOOKED_BACK = 20
"""Scrape intervals of the target's own samples that are looked at."""
LEAST_LOOKED_BACK = 60.0
HOUR = 3_600.0
ENOUGH = 3
"""Samples that tell how often a target is scraped; with fewer a whole hour is asked for."""
LOOKBACK = 300.0
"""Seconds after which Prometheus itself takes a sample for gone."""
_UP = "count(max by (instance) (max_over_time(up[1h])) > 0)"
_NOW = 'label_replace(vector(time()), "said", "now", "", "")'
_LAST = 'label_replace(max(timestamp(up)), "said", "last", "", "")'


@dataclass(frozen=True, slots=True)
class Gap:
    """For how many scrape intervals there was no sample, and of whom: an instance, or `prometheus` for all."""

    intervals: float
    of: str


class Scraping:
    """Asks one Prometheus about itself; may be used by many threads at once. Methods raise SourceUnavailable."""

    def __init__(self, prometheus: Prometheus, clock: Clock) -> None:
        self._prometheus = prometheus
        self._runtime: Shared[tuple[float, Runtime]] = Shared(clock, ANSWER_AGE)
        self._newest: Shared[tuple[float, float | None]] = Shared(clock, ANSWER_AGE)
        self._times: Shared[tuple[tuple[float, ...], ...]] = Shared(clock, ANSWER_AGE)
        self._up: Shared[int] = Shared(clock, UP_AGE)

    def since(self) -> Runtime:
        """Return how many seconds ago Prometheus started and loaded its rules, by its own clock; None: it tells not."""
        now, found = self._runtime.get(
            "runtime", 0.0, lambda: (self._prometheus.now(), self._prometheus.runtime())
        ).value
        started = None if found.started is None else now - found.started
        return Runtime(started, None if found.reloaded is None else now - found.reloaded)

    def gap(self, labels: Mapping[str, str], interval: float, allowed: int) -> Gap:
        """Given an alert's labels, the usual scrape interval and how many may be missed, return the longest gap.

        A hole that ended counts until as many samples as may be missed have come since.
        """
        now, newest = self._newest.get("newest", 0.0, self._ask_newest).value
        silent = Gap((LOOKBACK if newest is None else now - newest) / interval, "prometheus")
        own = {name: labels[name] for name in ("instance", "job") if labels.get(name)}
        if "instance" not in own:
            return silent
        found = self._samples(own, max(LEAST_LOOKED_BACK, LOOKED_BACK * interval))
        if max(map(len, found), default=0) < ENOUGH:
            found = self._samples(own, HOUR)
        # without a job any one that scrapes the instance will do
        mine = Gap(min((longest(times, now, allowed) for times in found), default=0.0), own["instance"])
        return max(silent, mine, key=lambda gap: gap.intervals)

    def up(self) -> int:
        """Return how many instances were up at any time within the last hour."""
        return self._up.get("up", 0.0, self._ask_up).value

    def _ask_up(self) -> int:
        count = sum(each.value for each in self._prometheus.query(_UP))
        if not math.isfinite(count):
            raise SourceUnavailable("prometheus", "it counts no number of instances")
        return int(count)

    def _ask_newest(self) -> tuple[float, float | None]:
        found = {each.labels.get("said"): each.value for each in self._prometheus.query(f"{_NOW} or {_LAST}")}
        if "now" not in found:
            raise SourceUnavailable("prometheus", "it does not say what time it is")
        return found["now"], found.get("last")

    def _samples(self, own: Mapping[str, str], back: float) -> tuple[tuple[float, ...], ...]:
        matchers = ",".join(f"{name}={quote(value)}" for name, value in own.items())
        text = f"up{{{matchers}}}[{duration(int(back * 1000))}]"
        return self._times.get(text, 0.0, lambda: self._prometheus.times(text)).value


def longest(times: Sequence[float], now: float, allowed: int) -> float:
    """Given the times of a target's samples in order, return its longest recent gap in its own scrape intervals.

    That is the time since the newest, or a hole among the newest `allowed`. Fewer than two samples tell nothing: 0.
    """
    between = [later - earlier for earlier, later in pairwise(times)]
    usual = median(between) if between else 0.0
    if usual <= 0:
        return 0.0
    return max(now - times[-1], *between[-allowed:]) / usual
