"""Sockets in use by protocol, and the memory they hold: node_exporter's sockstat collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.procfs.layout import Layout
from exporter.procfs.net_statistics import find_sockets
from exporter.settings import Settings

name = "sockstat"
text = "sockets in use by protocol"
enabled = True

_TEXTS = {
    "inuse": "in use",
    "orphan": "that no process holds any more",
    "tw": "that wait for late packets",
    "alloc": "allocated",
    "mem": "in pages of memory",
    "mem_bytes": "in bytes of memory",
    "memory": "in bytes of memory",
}


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads sockstat and sockstat6, each where the kernel has that protocol."""
    folder = settings.paths.procfs / "net"
    tables = [_Table(KeptFile(folder / file)) for file in ("sockstat", "sockstat6")]
    return lambda: [family for table in tables for family in table.collect()]


class _Table:
    """One of the two files, and the metrics of its fields."""

    def __init__(self, file: KeptFile) -> None:
        self._file = file
        self._layout = Layout(find_sockets)
        self._names: tuple[str, ...] = ()
        self._metrics: list[Metric] = []

    def collect(self) -> list[Family]:
        """Return what the file says, nothing if the kernel does not have it."""
        try:
            values = self._layout.read(self._file.read())
        except FileNotFoundError:
            # no IPv4, or no IPv6
            return []
        if self._layout.names is not self._names:
            self._names = self._layout.names
            self._metrics = list(map(_metric, self._names))
        return [metric.only(value) for metric, value in zip(self._metrics, values, strict=True)]


def _metric(field: str) -> Metric:
    protocol, _, what = field.partition("_")
    if protocol == "sockets":
        return Metric("node_sockstat_sockets_used", "gauge", "Sockets in use, of all kinds.")
    return Metric(f"node_sockstat_{field}", "gauge", f"Sockets of {protocol} {_TEXTS[what]}.")
