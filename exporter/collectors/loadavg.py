"""Load averages of the host."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.host import parse_load_average
from exporter.procfs.kept import KeptFile
from exporter.settings import Settings

name = "loadavg"
text = "load averages"
enabled = True

_ONE = Metric("node_load1", "gauge", "Tasks that run or wait to run, on average over 1 minute.")
_FIVE = Metric("node_load5", "gauge", "Tasks that run or wait to run, on average over 5 minutes.")
_FIFTEEN = Metric("node_load15", "gauge", "Tasks that run or wait to run, on average over 15 minutes.")


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/loadavg`."""
    file = KeptFile(settings.paths.procfs / "loadavg")

    def collect() -> list[Family]:
        load = parse_load_average(file.read())
        return [_ONE.only(load.one), _FIFTEEN.only(load.fifteen), _FIVE.only(load.five)]

    return collect
