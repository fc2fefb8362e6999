"""Memory of the host: every field of `/proc/meminfo` by node_exporter's name."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.host import parse_meminfo
from exporter.settings import Settings

name = "meminfo"
text = "memory of the host"
enabled = True


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/meminfo`."""
    path = settings.paths.procfs / "meminfo"
    metrics: dict[str, Metric] = {}

    def collect() -> list[Family]:
        fields = parse_meminfo(path.read_bytes())
        for field in fields.keys() - metrics.keys():
            # the names are the kernel's, so they are learnt from it
            metrics[field] = Metric(f"node_memory_{field}", "gauge", f"Memory information field {field}.")
        return [metrics[field].only(value) for field, value in sorted(fields.items())]

    return collect
