"""The time of the host, its zone, and the clock sources of the kernel."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.sysfs import ClockSources, find_clock_sources
from exporter.settings import IncompleteError, Settings

name = "time"
text = "time, zone and clock sources"
enabled = True

_SECONDS = Metric("node_time_seconds", "gauge", "Time of the host, in seconds since the epoch.")
_OFFSET = Metric(
    "node_time_zone_offset_seconds", "gauge", "Seconds by which the host's zone is ahead of UTC.", ("time_zone",)
)
_LABELS = ("clocksource", "device")
_AVAILABLE = Metric(
    "node_time_clocksource_available_info", "gauge", "Clock sources that the kernel could use; always 1.", _LABELS
)
_CURRENT = Metric(
    "node_time_clocksource_current_info", "gauge", "Clock source that the kernel uses; always 1.", _LABELS
)


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the clock and `clocksource` of sysfs."""
    folder = settings.paths.sysfs / "devices/system/clocksource"
    devices: list[ClockSources] = []

    def collect() -> list[Family]:
        nonlocal devices
        now = settings.clock.now()
        zone = time.localtime(now)
        families = [_SECONDS.only(now), _OFFSET.of({(zone.tm_zone,): zone.tm_gmtoff})]
        # a device stays as long as the kernel runs
        devices = devices or find_clock_sources(folder)
        try:
            return families + _read_sources(devices)
        except OSError as error:
            raise IncompleteError(f"cannot read the clock sources: {error}", families) from error

    return collect


def _read_sources(devices: list[ClockSources]) -> list[Family]:
    available: dict[tuple[str, str], int] = {}
    current: dict[tuple[str, str], int] = {}
    for number, device in enumerate(devices):
        sources, used = device.read()
        available |= {(source, str(number)): 1 for source in sources}
        current[(used, str(number))] = 1
    return [_AVAILABLE.of(available), _CURRENT.of(current)]
