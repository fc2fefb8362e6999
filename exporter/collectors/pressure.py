"""Time lost for want of CPU, memory, disk or to interrupts: the kernel's pressure stall information."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.host import parse_pressure
from exporter.procfs.kept import KeptFile
from exporter.settings import NoDataError, Settings

name = "pressure"
text = "time lost for want of CPU, memory or disk"
enabled = True

# by file and line; what the CPU's `full` and the interrupts' `some` mean for a whole host is not defined
_METRICS = {
    "cpu": {
        "some": Metric(
            "node_pressure_cpu_waiting_seconds_total", "counter", "Seconds in which a task waited for a CPU."
        ),
    },
    "io": {
        "some": Metric(
            "node_pressure_io_waiting_seconds_total", "counter", "Seconds in which a task waited for disks."
        ),
        "full": Metric(
            "node_pressure_io_stalled_seconds_total", "counter", "Seconds in which all tasks waited for disks."
        ),
    },
    "memory": {
        "some": Metric(
            "node_pressure_memory_waiting_seconds_total", "counter", "Seconds in which a task waited for memory."
        ),
        "full": Metric(
            "node_pressure_memory_stalled_seconds_total", "counter", "Seconds in which all tasks waited for memory."
        ),
    },
    "irq": {
        "full": Metric(
            "node_pressure_irq_stalled_seconds_total", "counter", "Seconds that interrupts took from tasks."
        ),
    },
}

# before Linux 4.20 and 6.1, without it in the kernel, or switched off when it booted
_ABSENT = {errno.ENOENT, errno.EOPNOTSUPP}


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the files of `/proc/pressure` that this kernel has."""
    files = {resource: KeptFile(settings.paths.procfs / "pressure" / resource) for resource in _METRICS}

    def collect() -> list[Family]:
        found = {resource: totals for resource, file in files.items() if (totals := _read(file))}
        if not found:
            raise NoDataError("this kernel does not account pressure")
        for resource in files.keys() - found.keys():
            # a kernel that has one of them and not another never will
            del files[resource]
        return [family for resource, totals in found.items() for family in _families(resource, totals)]

    return collect


def _families(resource: str, totals: dict[str, int]) -> list[Family]:
    # divided twice, as node_exporter does: once would round otherwise
    return [
        metric.only(totals[kind] / 1000.0 / 1000.0) for kind, metric in _METRICS[resource].items() if kind in totals
    ]


def _read(file: KeptFile) -> dict[str, int]:
    try:
        return parse_pressure(file.read())
    except OSError as error:
        if error.errno in _ABSENT:
            return {}
        raise
