"""When the host booted and what the kernel has counted since, as far as psutil tells it of this system."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from exporter.encode import Family, Metric
from exporter.portable.system import SYSTEM, System, refuse
from exporter.settings import Settings

_INTERRUPTS = Metric("node_intr_total", "counter", "Interrupts served since boot.")
_SWITCHES = Metric("node_context_switches_total", "counter", "Context switches since boot.")
_BOOT_TIME = Metric("node_boot_time_seconds", "gauge", "When the host booted, in seconds since the epoch.")


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks the system. Raise ValueError for a flag that only Linux can fulfil."""
    refuse(vars(settings.flags), "--collector.stat.softirq")

    def collect() -> list[Family]:
        families = [_BOOT_TIME.only(psutil.boot_time())]
        if SYSTEM is not System.MACOS:
            # macOS, not run here: psutil takes the two numbers there from fields of paging statistics
            found = psutil.cpu_stats()
            families += [_SWITCHES.only(found.ctx_switches), _INTERRUPTS.only(found.interrupts)]
        return families

    return collect
