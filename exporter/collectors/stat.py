"""What the kernel has counted since boot, from `/proc/stat`; CPU time is the collector cpu's."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.host import SOFTIRQS, parse_activity
from exporter.procfs.kept import KeptFile
from exporter.settings import Settings
from selfheal.common.flags import add_flag

name = "stat"
text = "interrupts, context switches, forks, boot time, running and blocked processes"
enabled = True

_INTERRUPTS = Metric("node_intr_total", "counter", "Interrupts served since boot.")
_SWITCHES = Metric("node_context_switches_total", "counter", "Context switches since boot.")
_FORKS = Metric("node_forks_total", "counter", "Processes and threads started since boot.")
_BOOT_TIME = Metric("node_boot_time_seconds", "gauge", "When the host booted, in seconds since the epoch.")
_RUNNING = Metric("node_procs_running", "gauge", "Tasks that run or could run.")
_BLOCKED = Metric("node_procs_blocked", "gauge", "Tasks that wait for input or output to complete.")
_SOFTIRQS = Metric(
    "node_softirqs_total", "counter", "Soft interrupts served since boot, by what they are for.", ("vector",)
)
_VECTORS = tuple((vector,) for vector in SOFTIRQS)


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the switch of the soft interrupts."""
    add_flag(
        parser, "--collector.stat.softirq", action=argparse.BooleanOptionalAction, default=False,
        help="export node_softirqs_total",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/stat`."""
    file = KeptFile(settings.paths.procfs / "stat")
    with_softirqs = vars(settings.flags)["collector.stat.softirq"]

    def collect() -> list[Family]:
        found = parse_activity(file.read())
        families = [
            _BOOT_TIME.only(found.boot_time),
            _SWITCHES.only(found.context_switches),
            _FORKS.only(found.forks),
            _INTERRUPTS.only(found.interrupts),
            _BLOCKED.only(found.blocked),
            _RUNNING.only(found.running),
        ]
        if with_softirqs:
            families.append(_SOFTIRQS.of(dict(zip(_VECTORS, found.softirqs, strict=False))))
        return families

    return collect
