"""What each disk has read and written, as the collector diskstats has it."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from exporter.collectors.diskstats import EXCLUDED
from exporter.encode import Family, Metric
from exporter.filters import read_filter
from exporter.portable.system import SYSTEM, System
from exporter.settings import Settings


def _metric(what: str, text: str) -> Metric:
    return Metric(f"node_disk_{what}_total", "counter", text, ("device",))


# multiplied as node_exporter does, for dividing by 1000 gives another last digit
_MILLISECOND = 0.001

# psutil's field → its metric and its unit
_EVERYWHERE: dict[str, tuple[Metric, float]] = {
    "read_count": (_metric("reads_completed", "Reads that ended well."), 1),
    "read_bytes": (_metric("read_bytes", "Bytes read."), 1),
    "read_time": (_metric("read_time_seconds", "Seconds spent by all reads together."), _MILLISECOND),
    "write_count": (_metric("writes_completed", "Writes that ended well."), 1),
    "write_bytes": (_metric("written_bytes", "Bytes written."), 1),
    "write_time": (_metric("write_time_seconds", "Seconds spent by all writes together."), _MILLISECOND),
}
_LINUX: dict[str, tuple[Metric, float]] = {
    "read_merged_count": (
        _metric("reads_merged", "Reads joined with a neighbouring one before they were issued."),
        1,
    ),
    "write_merged_count": (
        _metric("writes_merged", "Writes joined with a neighbouring one before they were issued."),
        1,
    ),
    "busy_time": (
        _metric("io_time_seconds", "Seconds in which at least one operation was going on."),
        _MILLISECOND,
    ),
}


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks for the disks' counters. Raise ValueError if the filters contradict."""
    disks = read_filter(vars(settings.flags), "--collector.diskstats.device", EXCLUDED)
    fields = _EVERYWHERE | _LINUX if SYSTEM is System.LINUX else _EVERYWHERE

    def collect() -> list[Family]:
        # without psutil's own memory of what wrapped: rate() knows resets
        told = psutil.disk_io_counters(perdisk=True, nowrap=False)
        found = {(name,): counters._asdict() for name, counters in told.items() if disks.wants(name)}
        return [
            metric.of({labels: counters[field] * unit for labels, counters in found.items()})
            for field, (metric, unit) in fields.items()
        ]

    return collect
