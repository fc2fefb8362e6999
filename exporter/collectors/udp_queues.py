"""Bytes that wait in UDP sockets: node_exporter's udp_queues collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.procfs.net import sum_queues
from exporter.settings import NoDataError, Settings

name = "udp_queues"
text = "bytes that wait in UDP sockets"
enabled = True

_QUEUES = Metric("node_udp_queues", "gauge", "Bytes that wait in all UDP sockets together.", ("queue", "ip"))


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads udp and udp6, each where the kernel has that protocol."""
    folder = settings.paths.procfs / "net"
    files = {"v4": KeptFile(folder / "udp"), "v6": KeptFile(folder / "udp6")}

    def collect() -> list[Family]:
        waiting = {}
        for version, file in files.items():
            try:
                queues = sum_queues(file.read())
            except FileNotFoundError:
                continue
            waiting["tx", version] = queues.transmit
            waiting["rx", version] = queues.receive
        if not waiting:
            raise NoDataError("there is no UDP")
        return [_QUEUES.of(waiting)]

    return collect
