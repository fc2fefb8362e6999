"""Disks, state and progress of software RAID arrays: node_exporter's mdadm collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.procfs.mdstat import Array, parse_mdstat
from exporter.settings import NoDataError, Settings

name = "mdadm"
text = "software RAID arrays"
enabled = True

_STATES = ("active", "inactive", "recovering", "resync", "check")

_BLOCKS = Metric("node_md_blocks", "gauge", "Blocks of 1 KiB that the array holds.", ("device",))
_SYNCED = Metric("node_md_blocks_synced", "gauge", "Blocks of 1 KiB that are in sync.", ("device",))
_DISKS = Metric("node_md_disks", "gauge", "Disks of the array that work, have failed or stand by.", ("device", "state"))
_REQUIRED = Metric("node_md_disks_required", "gauge", "Disks that the array needs to be whole.", ("device",))
_STATE = Metric("node_md_state", "gauge", "Whether the array is in this state: 1 for one of them.", ("device", "state"))


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/mdstat`."""
    file = KeptFile(settings.paths.procfs / "mdstat")
    last: bytes | None = None
    families: list[Family] = []

    def collect() -> list[Family]:
        nonlocal last, families
        try:
            data = file.read()
        except FileNotFoundError as error:
            raise NoDataError("this kernel has no software RAID") from error
        if data != last:
            families = _families(parse_mdstat(data))
            last = data
        return families

    return collect


def _families(arrays: list[Array]) -> list[Family]:
    disks: dict[tuple[str, str], float] = {}
    states: dict[tuple[str, str], float] = {}
    for array in arrays:
        for state in ("active", "failed", "spare"):
            disks[array.name, state] = getattr(array, state)
        for state in _STATES:
            states[array.name, state] = int(array.state == state)
    return [
        _BLOCKS.of({(array.name,): array.blocks for array in arrays}),
        _SYNCED.of({(array.name,): array.synced for array in arrays}),
        _DISKS.of(disks),
        _REQUIRED.of({(array.name,): array.required for array in arrays}),
        _STATE.of(states),
    ]
