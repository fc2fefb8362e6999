"""The kernel's store of randomness; since Linux 5.18 it is always full."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.settings import Settings

name = "entropy"
text = "available randomness"
enabled = True

_AVAILABLE = Metric("node_entropy_available_bits", "gauge", "Bits of randomness that are there.")
_POOL = Metric("node_entropy_pool_size_bits", "gauge", "Bits of randomness that there can be.")


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/sys/kernel/random`."""
    folder = settings.paths.procfs / "sys/kernel/random"
    available, pool = KeptFile(folder / "entropy_avail"), KeptFile(folder / "poolsize")

    def collect() -> list[Family]:
        return [_AVAILABLE.only(int(available.read())), _POOL.only(int(pool.read()))]

    return collect
