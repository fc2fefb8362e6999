"""What the systemd collector wants to know of systemd, asked once for each refresh."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from exporter.systemd_bus import SystemdBus, Unit
from selfheal.common.re2 import Expression

STATES = ("active", "activating", "deactivating", "inactive", "failed")

_VERSION = re.compile(r"[0-9]{3,}(?:\.[0-9]+)?")
# systemd says so where it counts nothing
_NO_NUMBER = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Wishes:
    """Which units are wanted, and what of them beside their states."""

    include: Expression
    exclude: Expression
    restarts: bool
    start_times: bool
    tasks: bool

    def wants(self, unit: Unit) -> bool:
        """Say whether a unit is exported; the expressions stand for whole names."""
        named = self.include.matches_all(unit.name) and not self.exclude.matches_all(unit.name)
        return named and unit.load_state == "loaded"


@dataclass(slots=True)
class Found:
    """What systemd said: numbers by unit, and the states of all units whether wanted or not."""

    version: tuple[str, float]
    virtualization: str
    is_running: bool
    summary: dict[str, int]
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    """The active state by unit and its type."""
    restarts: dict[str, int] = field(default_factory=dict)
    start_times: dict[str, float] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    most_tasks: dict[str, int] = field(default_factory=dict)
    triggers: dict[str, float] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


class Reader:
    """Asks with a connection for each refresh; what changes only when units are loaded again is kept till then."""

    def __init__(self, connect: Callable[[], SystemdBus], wishes: Wishes) -> None:
        self._connect = connect
        self._wishes = wishes
        self._loaded_at: int | None = None
        self._types: dict[tuple[str, str], str] = {}

    def read(self) -> Found:
        """Return what systemd says now. Raise OSError or ValueError if it cannot be asked."""
        with self._connect() as bus:
            found = _about_systemd(bus)
            units = bus.units()
            counted = Counter(unit.active_state for unit in units)
            found.summary = dict.fromkeys(STATES, 0) | counted
            wanted = [unit for unit in units if self._wishes.wants(unit)]
            self._keep_types(bus, wanted)
            for unit in wanted:
                self._ask(bus, unit, found)
        return found

    def _keep_types(self, bus: SystemdBus, units: list[Unit]) -> None:
        loaded_at = bus.manager("UnitsLoadTimestampMonotonic")
        if loaded_at is None or loaded_at != self._loaded_at:
            # without it, or when it has moved, any type may have changed
            self._types.clear()
        self._loaded_at = loaded_at
        names = {unit.name for unit in units}
        self._types = {key: kind for key, kind in self._types.items() if key[0] in names}

    def _ask(self, bus: SystemdBus, unit: Unit, found: Found) -> None:
        name, kind = unit.name, unit.name.rpartition(".")[2]
        found.states[name, self._type(bus, unit, kind)] = unit.active_state
        if self._wishes.start_times:
            _start_time(bus, unit, found)
        if kind == "service":
            if self._wishes.restarts:
                _take(found.restarts, name, bus.unit(unit.path, "Service", "NRestarts"))
            if self._wishes.tasks:
                _take(found.tasks, name, bus.unit(unit.path, "Service", "TasksCurrent"))
                _take(found.most_tasks, name, bus.unit(unit.path, "Service", "TasksMax"))
        elif kind == "timer":
            microseconds = bus.unit(unit.path, "Timer", "LastTriggerUSec")
            if microseconds is not None:
                found.triggers[name] = microseconds / 1e6
        elif kind == "socket":
            _take(found.accepted, name, bus.unit(unit.path, "Socket", "NAccepted"))
            _take(found.connections, name, bus.unit(unit.path, "Socket", "NConnections"))
            _take(found.refused, name, bus.unit(unit.path, "Socket", "NRefused"))

    def _type(self, bus: SystemdBus, unit: Unit, kind: str) -> str:
        if kind not in ("service", "mount"):
            return ""
        key = (unit.name, unit.path)
        if key not in self._types:
            self._types[key] = bus.unit(unit.path, kind.capitalize(), "Type") or ""
        return self._types[key]


def _about_systemd(bus: SystemdBus) -> Found:
    version = bus.manager("Version") or ""
    number = _VERSION.search(version)
    state = bus.manager("SystemState")
    if state is None:
        raise ValueError("systemd does not say how the system is")
    virtualization = bus.manager("Virtualization")
    return Found(
        version=(version, float(number[0])) if number else ("", 0),
        # an empty one means that there is none
        virtualization="unknown" if virtualization is None else virtualization or "none",
        is_running=state == "running",
        summary={},
    )


def _start_time(bus: SystemdBus, unit: Unit, found: Found) -> None:
    if unit.active_state != "active":
        found.start_times[unit.name] = 0
        return
    microseconds = bus.unit(unit.path, "Unit", "ActiveEnterTimestamp")
    if microseconds is not None:
        found.start_times[unit.name] = microseconds / 1e6


def _take(numbers: dict[str, int], name: str, value: int | None) -> None:
    if value is not None and value != _NO_NUMBER:
        numbers[name] = value
