"""Thermal zones and cooling devices: `/sys/class/thermal`, Documentation/driver-api/thermal/sysfs-api.rst."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.kept import read_file

# a sensor that is switched off, not ready or not for us leaves out its zone and is no error
_NO_ANSWER = (FileNotFoundError, PermissionError)
_NOT_NOW = (errno.ENODATA, errno.EAGAIN, errno.EINVAL)


class Zone(NamedTuple):
    """A place whose temperature is measured."""

    name: str
    type: str
    millidegrees: int


class Cooler(NamedTuple):
    """Something that can cool, or slow down; state 0 is not at all."""

    name: str
    type: str
    state: int
    most: int


def list_devices(folder: Path) -> tuple[list[str], list[str]]:
    """Given `/sys/class/thermal`, return the numbers of its zones and of its cooling devices; without it, none."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names
    except FileNotFoundError:
        return [], []
    return _numbered(names, "thermal_zone"), _numbered(names, "cooling_device")


def read_zone(folder: Path, number: str, known: Zone | None) -> Zone | None:
    """Return one zone, or None if it measures nothing now; of a known one only the temperature is read.

    Raise OSError or ValueError if it is broken.
    """
    where = f"{folder}/thermal_zone{number}"
    try:
        kind = known.type if known is not None else _text(f"{where}/type")
        return Zone(number, kind, int(read_file(f"{where}/temp")))
    except _NO_ANSWER:
        return None
    except OSError as error:
        if error.errno in _NOT_NOW:
            return None
        raise


def read_cooler(folder: Path, number: str, known: Cooler | None) -> Cooler:
    """Return one cooling device; of a known one only its state is read. Raise OSError or ValueError if it is broken."""
    where = f"{folder}/cooling_device{number}"
    # -1 is allowed: the device does not know
    state = int(read_file(f"{where}/cur_state"))
    if known is not None:
        return known._replace(state=state)
    return Cooler(number, _text(f"{where}/type"), state, int(read_file(f"{where}/max_state")))


def _numbered(names: list[str], what: str) -> list[str]:
    rests = (name.removeprefix(what) for name in names if name.startswith(what))
    return [rest for rest in rests if rest[:1].isdecimal()]


def _text(path: str) -> str:
    return read_file(path).decode("utf-8", "replace").strip()
