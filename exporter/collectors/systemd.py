"""States of systemd's units, and what they count: node_exporter's systemd collector, refreshed by its own timer."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from exporter.encode import Family, Kind, Metric
from exporter.refresh import Refresher
from exporter.settings import Settings, flag_type
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag
from selfheal.common.re2 import compile_own, compile_re2

if TYPE_CHECKING:
    from exporter.systemd_bus import SystemdBus
    from exporter.systemd_read import Found

name = "systemd"
text = "states of systemd's units, asked over D-Bus"
enabled = False

UNITS_INCLUDED = ".+"
UNITS_EXCLUDED = r".+\.(automount|device|mount|scope|slice)"

_LONGEST_ANSWER = 5.0


def _metric(what: str, text: str, labels: tuple[str, ...] = ("name",), kind: Kind = "gauge") -> Metric:
    return Metric(f"node_systemd_{what}", kind, f"{text} A cached value.", labels)


_VERSION = _metric("version", "The version of systemd as a number.", ("version",))
_VIRTUALIZATION = _metric(
    "virtualization_info", "Always 1; in which virtual machine or container systemd sees itself.",
    ("virtualization_type",),
)  # fmt: skip
_RUNNING = _metric("system_running", "Whether the system runs and no unit has failed.", ())
_SUMMARY = _metric("units", "Loaded units in each state.", ("state",))
_STATE = _metric("unit_state", "Whether the unit is in this state: 1 for one of them.", ("name", "state", "type"))
_RESTARTS = _metric("service_restart_total", "Restarts of the service that systemd did by itself.", kind="counter")
_START = _metric("unit_start_time_seconds", "When the unit became active; 0 if it is not.")
_TASKS = _metric("unit_tasks_current", "Tasks that the service has now.")
_MOST_TASKS = _metric("unit_tasks_max", "Tasks that the service may have.")
_TRIGGER = _metric("timer_last_trigger_seconds", "When the timer last started its unit; 0 if never.")
_ACCEPTED = _metric("socket_accepted_connections_total", "Connections that the socket has accepted.", kind="counter")
_CONNECTIONS = _metric("socket_current_connections", "Connections that the socket has now.")
# a gauge in node_exporter too, whatever its name says
_REFUSED = _metric("socket_refused_connections_total", "Connections that the socket has refused.")


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add what is wanted of which units, spelled as in node_exporter, and how often to ask."""
    for what, default in (("include", UNITS_INCLUDED), ("exclude", UNITS_EXCLUDED)):
        add_flag(
            parser, f"--collector.systemd.unit-{what}", metavar="REGEX", type=flag_type(compile_re2),
            default=compile_own(default),
            help=f"whole names of units to {what}; an excluded one is never included (default: %(default)s)",
        )  # fmt: skip
    for what, help_text in (
        ("enable-restarts-metrics", "count how often systemd restarted each service"),
        ("enable-start-time-metrics", "tell since when each unit is active"),
        ("enable-task-metrics", "count the tasks of each service"),
        ("private", "ask systemd at its own socket instead of on the bus; needs root"),
    ):
        add_flag(parser, f"--collector.systemd.{what}", action="store_true", help=help_text)
    add_flag(
        parser, "--collector.systemd.refresh-interval", metavar="DURATION", default="15s",
        type=flag_type(_interval), help="how often systemd is asked (default: %(default)s)",
    )  # fmt: skip


def _interval(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 1:
        raise ValueError("systemd is asked at most once a second")
    return seconds


class Systemd:
    """The function that returns what systemd said last, and the thread that asks it."""

    def __init__(self, refresher: Refresher) -> None:
        self._refresher = refresher

    def __call__(self) -> list[Family]:
        """Return the families. Raise IncompleteError with them if systemd could not be asked the last time."""
        return self._refresher.collect()

    def close(self) -> None:
        """End the thread."""
        self._refresher.close()


def create(settings: Settings) -> Systemd:
    """Return the function that tells what the last refresh found."""
    # D-Bus has its price in memory; only who asks systemd pays it
    from exporter.systemd_bus import SystemdBus
    from exporter.systemd_read import Reader, Wishes

    flags = {key.rpartition(".")[2]: value for key, value in vars(settings.flags).items() if ".systemd." in key}
    wishes = Wishes(
        include=flags["unit_include"],
        exclude=flags["unit_exclude"],
        restarts=flags["enable_restarts_metrics"],
        start_times=flags["enable_start_time_metrics"],
        tasks=flags["enable_task_metrics"],
    )
    private: bool = flags["private"]
    address = _address(settings, private=private)

    def connect() -> SystemdBus:
        return SystemdBus(address, _LONGEST_ANSWER, private=private)

    reader = Reader(connect, wishes)
    every: float = flags["refresh_interval"]
    return Systemd(Refresher(name, {"systemd": lambda: _families(reader.read())}, every, settings))


def _address(settings: Settings, *, private: bool) -> str:
    if private:
        return f"unix:path={settings.paths.below_root('/run/systemd/private')}"
    given = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
    return given or f"unix:path={settings.paths.below_root('/run/dbus/system_bus_socket')}"


def _families(found: Found) -> list[Family]:
    states: dict[tuple[str, str, str], float] = {}
    for (unit, kind), now in found.states.items():
        for state in ("active", "activating", "deactivating", "inactive", "failed"):
            states[unit, state, kind] = int(state == now)
    numbers = (
        (_RESTARTS, found.restarts), (_START, found.start_times), (_TASKS, found.tasks),
        (_MOST_TASKS, found.most_tasks), (_TRIGGER, found.triggers), (_ACCEPTED, found.accepted),
        (_CONNECTIONS, found.connections), (_REFUSED, found.refused),
    )  # fmt: skip
    return [
        _VERSION.of({(found.version[0],): found.version[1]}),
        _VIRTUALIZATION.of({(found.virtualization,): 1}),
        _RUNNING.only(int(found.is_running)),
        _SUMMARY.of({(state,): count for state, count in found.summary.items()}),
        _STATE.of(states),
        *(metric.of({(unit,): value for unit, value in values.items()}) for metric, values in numbers),
    ]
