"""Memory of the host: every field of `/proc/meminfo` by node_exporter's name."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.fields import field_reader
from exporter.procfs.host import find_meminfo
from exporter.procfs.kept import KeptFile
from exporter.procfs.layout import Layout
from exporter.settings import Settings

name = "meminfo"
text = "memory of the host"
enabled = True


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/meminfo`."""
    return field_reader(KeptFile(settings.paths.procfs / "meminfo"), Layout(find_meminfo), _metric)


def _metric(field: str) -> Metric:
    return Metric(f"node_memory_{field}", "gauge", f"What the kernel's meminfo says of {field}.")
