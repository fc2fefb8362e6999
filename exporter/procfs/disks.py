"""Block devices: counters in `/proc/diskstats`, and what udev and sysfs know about each device.

Formats: Documentation/admin-guide/iostats.rst and Documentation/ABI/stable/sysfs-block of the kernel, udevadm(8).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.kept import read_file

# 11 counters since 2.6, discards since 4.18, flushes since 5.5
COUNTERS = (11, 15, 17)


class Disk(NamedTuple):
    """One line of diskstats: the counters in the kernel's order and units."""

    major: str
    minor: str
    name: str
    counters: list[int]


class Properties(NamedTuple):
    """What is known about a device beside its counters; it changes seldom."""

    udev: dict[str, str]
    rotational: str


def parse_disks(data: bytes, wants: Callable[[str], bool]) -> list[Disk]:
    """Given the bytes of diskstats and which disks are wanted, return those. Raise ValueError if a line is broken.

    The short lines of old kernels' partitions are left out, and so are counters behind the known ones.
    """
    disks = []
    for line in data.decode("utf-8", "replace").splitlines():
        words = line.split(None, 3)
        if len(words) < 4:
            raise ValueError(f"not a line of diskstats: {line!r}")
        if wants(words[2]):
            counters = [int(word) for word in words[3].split()[: COUNTERS[-1]]]
            if len(counters) in COUNTERS:
                disks.append(Disk(words[0], words[1], words[2], counters))
    return disks


def parse_udev(data: bytes) -> dict[str, str]:
    """Given the bytes of a device's file in udev's database, return its properties by name."""
    properties = {}
    for line in data.decode("utf-8", "replace").split("\n"):
        if line.startswith("E:"):
            name, equals, value = line[2:].partition("=")
            if equals:
                properties[name] = value
    return properties


def read_properties(udev_file: str, block: Path) -> Properties:
    """Given a device's file of udev and its folder in sysfs, return what they say; what cannot be read is empty."""
    try:
        udev = parse_udev(read_file(udev_file))
    except OSError:
        udev = {}
    try:
        # partitions have no queue of their own
        rotational = str(int(read_file(f"{block}/queue/rotational")))
    except (OSError, ValueError):
        rotational = "0"
    return Properties(udev, rotational)
