"""Load averages of the host; Windows has none, and psutil's emulation of them is not called by their names."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from exporter.encode import Family, Metric
from exporter.portable.system import SYSTEM, System
from exporter.settings import Settings

_MINUTES = (1, 5, 15)
_LOADS = tuple(
    Metric(
        f"node_load{minutes}",
        "gauge",
        f"Tasks that run or wait to run, on average over {minutes} minute{'s' if minutes > 1 else ''}.",
    )
    for minutes in _MINUTES
)
_EMULATED = tuple(
    Metric(
        f"selfheal_emulated_load{minutes}",
        "gauge",
        f"On Windows: threads that wait for a CPU, seen every 5 s and averaged over {minutes} min; 0 at first.",
    )
    for minutes in _MINUTES
)


def create(_settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks for the load."""
    # Windows, not run here
    metrics = _EMULATED if SYSTEM is System.WINDOWS else _LOADS
    return lambda: [metric.only(load) for metric, load in zip(metrics, psutil.getloadavg(), strict=True)]
