"""How long tasks ran on each CPU and waited for it, where the kernel keeps these statistics."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.host import parse_schedstat
from exporter.procfs.kept import KeptFile
from exporter.settings import NoDataError, Settings

name = "schedstat"
text = "statistics of the scheduler by CPU"
enabled = True

_RUNNING = Metric("node_schedstat_running_seconds_total", "counter", "Seconds that tasks ran on a CPU.", ("cpu",))
_WAITING = Metric("node_schedstat_waiting_seconds_total", "counter", "Seconds that tasks waited for a CPU.", ("cpu",))
_SLICES = Metric("node_schedstat_timeslices_total", "counter", "Times that a CPU was given to a task.", ("cpu",))

_NANO = 1e9


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/schedstat`."""
    file = KeptFile(settings.paths.procfs / "schedstat")

    def collect() -> list[Family]:
        try:
            found = parse_schedstat(file.read())
        except FileNotFoundError as error:
            raise NoDataError("this kernel keeps no statistics of its scheduler") from error
        return [
            _RUNNING.of({(cpu,): of.running / _NANO for cpu, of in found.items()}),
            _SLICES.of({(cpu,): of.slices for cpu, of in found.items()}),
            _WAITING.of({(cpu,): of.waiting / _NANO for cpu, of in found.items()}),
        ]

    return collect
