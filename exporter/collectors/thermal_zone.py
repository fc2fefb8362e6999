"""Temperatures of thermal zones and states of cooling devices: node_exporter's thermal_zone collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from exporter.encode import Family, Metric
from exporter.procfs.thermal import Cooler, Zone, list_devices, read_cooler, read_zone
from exporter.settings import IncompleteError, Settings
from selfheal.common.clock import Clock

T = TypeVar("T")
_Read: TypeAlias = Callable[[Path, str, T | None], T | None]

name = "thermal_zone"
text = "temperatures and cooling"
enabled = True

_ZONE = Metric("node_thermal_zone_temp", "gauge", "Temperature of the zone in degrees Celsius.", ("type", "zone"))
_STATE = Metric(
    "node_cooling_device_cur_state", "gauge", "How hard the device cools or slows down now.", ("name", "type")
)
_MOST = Metric("node_cooling_device_max_state", "gauge", "The most that the device can do.", ("name", "type"))

# a device that is taken out and another put in its place has the number of the first
_KINDS_LAST = 60.0


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/sys/class/thermal`."""
    return _Thermal(settings.paths.sysfs / "class/thermal", settings.clock).read


class _Thermal:
    """All zones and cooling devices, and what of them does not change. There may be a cooling device for each CPU."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._forgotten_at = 0.0
        self._zones: dict[str, Zone] = {}
        self._coolers: dict[str, Cooler] = {}

    def read(self) -> list[Family]:
        """Return the families. Raise IncompleteError with them if a zone or device is broken."""
        now = self._clock.monotonic()
        if now - self._forgotten_at >= _KINDS_LAST:
            self._zones, self._coolers, self._forgotten_at = {}, {}, now
        problems: list[str] = []
        zones, coolers = list_devices(self._folder)
        self._zones = self._all(zones, self._zones, read_zone, "thermal_zone", problems)
        self._coolers = self._all(coolers, self._coolers, read_cooler, "cooling_device", problems)
        families = _families(list(self._zones.values()), list(self._coolers.values()))
        if problems:
            raise IncompleteError("; ".join(problems), families)
        return families

    def _all(
        self, numbers: list[str], known: dict[str, T], read: _Read[T], what: str, problems: list[str]
    ) -> dict[str, T]:
        found: dict[str, T] = {}
        for number in numbers:
            try:
                device = read(self._folder, number, known.get(number))
            except (OSError, ValueError) as error:
                problems.append(f"{what}{number}: {error}")
                continue
            if device is not None:
                found[number] = device
        return found


def _families(zones: list[Zone], coolers: list[Cooler]) -> list[Family]:
    return [
        _STATE.of({(cooler.name, cooler.type): cooler.state for cooler in coolers}),
        _MOST.of({(cooler.name, cooler.type): cooler.most for cooler in coolers}),
        _ZONE.of({(zone.type, zone.name): zone.millidegrees / 1000 for zone in zones}),
    ]
