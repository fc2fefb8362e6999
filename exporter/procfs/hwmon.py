"""Hardware sensors: the chips in `/sys/class/hwmon`, Documentation/hwmon/sysfs-interface.rst."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.kept import read_file

TYPES = frozenset(
    ("beep_enable", "cpu", "curr", "energy", "fan", "freq", "humidity", "in", "intrusion", "power", "pwm", "temp")
) | {"update_interval", "vrm"}

_FILE = re.compile(r"([^0-9]+)([0-9]*)(?:_(.+))?", re.DOTALL)
_NOT_IN_NAMES = re.compile(r"[^a-z0-9:_]")
# a larger number cannot be a sensor's
_MOST_DIGITS = 18
# no attribute is longer; one read only, for broken drivers answer "try again" for ever
_LONGEST = 128


class Attribute(NamedTuple):
    """One file of a sensor: `temp1_max` is the attribute `max` of the sensor temp1, of type temp."""

    sensor: str
    type: str
    element: str
    path: str


class Chip(NamedTuple):
    """One chip: a name that stays from boot to boot, the driver's name for it if it has one, and what it measures."""

    name: str
    driver: str
    attributes: list[Attribute]


def clean_name(text: str) -> str:
    """Given any text, return it as part of a metric's name."""
    return _NOT_IN_NAMES.sub("_", text.lower()).strip("_")


def list_chips(folder: Path) -> list[tuple[str, str]]:
    """Given `/sys/class/hwmon`, return its chips, each with what it leads to. Raise OSError without it."""
    return [(name, _link(f"{folder}/{name}")) for name in sorted(os.listdir(folder))]  # noqa: PTH208 - names


def read_chip(path: str) -> Chip | None:
    """Given a chip's folder, return it, or None if it is none. Raise OSError if it cannot be listed."""
    if not os.path.isdir(path):  # noqa: PTH112 - sysfs paths stay text
        return None
    try:
        driver = clean_name(read_file(f"{path}/name").decode("utf-8", "replace"))
    except OSError:
        driver = ""
    attributes = _attributes(path)
    device = f"{path}/device"
    if os.path.isdir(device):  # noqa: PTH112 - as above
        # drivers of old put them beside the device instead of into the chip; there they count more
        attributes |= _attributes(device)
    return Chip(_name(path, driver), driver, list(attributes.values()))


def read_attribute(path: str) -> str | None:
    """Given an attribute's file, return its text, or None if it has none now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(descriptor, _LONGEST).decode("utf-8", "replace").strip("\n")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _attributes(path: str) -> dict[tuple[str, str], Attribute]:
    found = {}
    for name in sorted(os.listdir(path)):  # noqa: PTH208 - names
        parts = _FILE.fullmatch(name)
        if parts and parts[1] in TYPES and len(parts[2]) <= _MOST_DIGITS:
            sensor, element = f"{parts[1]}{int(parts[2] or 0)}", parts[3] or ""
            found[sensor, element] = Attribute(sensor, parts[1], element, f"{path}/{name}")
    return found


def _name(path: str, driver: str) -> str:
    """Return the name of the device, for the number in hwmon0 depends on which driver came first."""
    try:
        device = os.path.realpath(f"{path}/device", strict=True)
    except OSError:
        device = ""
    if device:
        parent, name = (clean_name(part) for part in device.split("/")[-2:])
        if name:
            return f"{parent}_{name}" if parent else name
    return driver or clean_name(os.path.basename(os.path.realpath(path)))  # noqa: PTH119 - as above


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - text
    except OSError:
        return ""
