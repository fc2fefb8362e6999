"""CPU time by CPU and mode: node_exporter's cpu collector without its cpufreq, topology and package parts."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.host import parse_cpu_ticks
from exporter.settings import Settings
from selfheal.common.procfs import TICKS_PER_SECOND

name = "cpu"
text = "CPU time by CPU and mode"
enabled = True

_MODES = ("idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user")
_GUESTS = {"nice": "guest_nice", "user": "guest"}
_SECONDS = Metric("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.", ("cpu", "mode"))
_GUEST_SECONDS = Metric(
    "node_cpu_guest_seconds_total", "counter", "Seconds the CPUs spent in guests (VMs) for each mode.", ("cpu", "mode")
)

# idle and iowait step back a little when the kernel corrects them; by more than this a CPU came back anew
_CORRECTION_TICKS = 3 * TICKS_PER_SECOND


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/stat`."""
    path = settings.paths.procfs / "stat"
    last: dict[str, dict[str, int]] = {}

    def collect() -> list[Family]:
        nonlocal last
        last = _never_falling(parse_cpu_ticks(path.read_bytes()), last)
        seconds = {(cpu, mode): ticks[mode] / TICKS_PER_SECOND for cpu, ticks in last.items() for mode in _MODES}
        guests = {
            (cpu, mode): ticks[field] / TICKS_PER_SECOND
            for cpu, ticks in last.items()
            for mode, field in _GUESTS.items()
        }
        return [_GUEST_SECONDS.of(guests), _SECONDS.of(seconds)]

    return collect


def _never_falling(cpus: dict[str, dict[str, int]], last: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {cpu: _corrected(ticks, last[cpu]) if cpu in last else ticks for cpu, ticks in cpus.items()}


def _corrected(ticks: dict[str, int], last: dict[str, int]) -> dict[str, int]:
    return {
        field: last[field] if 0 < last[field] - count <= _CORRECTION_TICKS else count for field, count in ticks.items()
    }
