"""What the firmware says of the machine: its maker, model, board and BIOS."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.sysfs import read_dmi
from exporter.settings import NoDataError, Settings

name = "dmi"
text = "maker and model of the machine"
enabled = True


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/sys/class/dmi/id`, once: it stays the same until the next boot."""
    folder = settings.paths.sysfs / "class/dmi/id"
    families: list[Family] | None = None

    def collect() -> list[Family]:
        nonlocal families
        if families is None:
            families = _families(read_dmi(folder))
        if not families:
            raise NoDataError("the firmware says nothing of the machine")
        return families.copy()

    return collect


def _families(found: dict[str, str]) -> list[Family]:
    if not found:
        return []
    # only what can be read is a label, so the metric is made of it
    metric = Metric("node_dmi_info", "gauge", "What the firmware says of the machine; always 1.", tuple(found))
    return [metric.of({tuple(found.values()): 1})]
