"""How many devices each bond has, and how many of them work: node_exporter's bonding collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from exporter.encode import Family, Metric
from exporter.procfs.sysfs import read_text
from exporter.settings import NoDataError, Settings

name = "bonding"
text = "devices of each bond"
enabled = True

_MEMBERS = Metric("node_bonding_slaves", "gauge", "Devices that belong to the bond.", ("master",))
_ACTIVE = Metric("node_bonding_active", "gauge", "Devices of the bond whose link is up.", ("master",))

# the second is how kernels before 3.13 named it
_LINKS = ("lower", "slave")


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the bonds below `/sys/class/net`."""
    folder = settings.paths.sysfs / "class" / "net"

    def collect() -> list[Family]:
        members, active = {}, {}
        try:
            for bond in read_text(folder / "bonding_masters").split():
                states = [
                    _state(folder / bond, member) for member in read_text(folder / bond / "bonding" / "slaves").split()
                ]
                members[(bond,)] = len(states)
                active[(bond,)] = states.count("up")
        except FileNotFoundError as error:
            raise NoDataError(f"there are no bonds: {error}") from error
        return [_ACTIVE.of(active), _MEMBERS.of(members)]

    return collect


def _state(bond: Path, member: str) -> str:
    now, before = (bond / f"{link}_{member}" / "bonding_slave" / "mii_status" for link in _LINKS)
    try:
        return read_text(now)
    except FileNotFoundError:
        return read_text(before)
