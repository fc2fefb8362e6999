"""The time of the host and its zone."""

from __future__ import annotations

import time
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.settings import Settings

_SECONDS = Metric("node_time_seconds", "gauge", "Time of the host, in seconds since the epoch.")
_OFFSET = Metric(
    "node_time_zone_offset_seconds", "gauge", "Seconds by which the host's zone is ahead of UTC.", ("time_zone",)
)


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the clock."""

    def collect() -> list[Family]:
        now = settings.clock.now()
        zone = time.localtime(now)
        return [_SECONDS.only(now), _OFFSET.of({(zone.tm_zone,): zone.tm_gmtoff})]

    return collect
