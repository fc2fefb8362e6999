"""The many small files of sysfs that hold one value each: reading them, and those of DMI and of the clock sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.kept import KeptFile, read_file

# the files that are worth a label; the kernel shortens one name
_DMI = (
    "bios_date", "bios_release", "bios_vendor", "bios_version",
    "board_asset_tag", "board_name", "board_serial", "board_vendor", "board_version",
    "chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version",
    "product_family", "product_name", "product_serial", "product_sku", "product_uuid", "product_version",
    "sys_vendor",
)  # fmt: skip
_RENAMED = {"sys_vendor": "system_vendor"}


def read_text(path: str | Path) -> str:
    """Return the value of a file without the blanks around it. Raise OSError if it cannot be read."""
    return read_file(path).decode("utf-8", "replace").strip()


def read_count(path: str | Path) -> int | None:
    """Return the whole number in a file, or None if it cannot be read or is none."""
    try:
        data = read_file(path).strip()
    except OSError:
        return None
    return int(data) if data.isdigit() else None


def numbered(folder: str | Path, prefix: str) -> list[str]:
    """Return the names in a folder that are the prefix and a number, sorted as text; none if it cannot be listed."""
    try:
        # Path.iterdir would make a Path of every entry, in every scrape
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return []
    return sorted(name for name in names if name.startswith(prefix) and name[len(prefix) :].isdigit())


def read_dmi(folder: Path) -> dict[str, str]:
    """Return what the firmware says of the machine, by label; what may not be read is left out.

    Raise OSError if the folder is there and cannot be read. https://docs.kernel.org/admin-guide/abi.html
    """
    found = {}
    for file in _DMI:
        try:
            found[_RENAMED.get(file, file)] = read_text(folder / file)
        except (FileNotFoundError, PermissionError):
            # serial numbers are the administrator's only
            continue
    return found


class ClockSources(NamedTuple):
    """The files of a device that has clock sources."""

    available: KeptFile
    current: KeptFile

    def read(self) -> tuple[list[str], str]:
        """Return the clock sources there are and the one in use. Raise OSError if they cannot be read."""
        return self.available.read().decode().split(), self.current.read().decode().strip()


def find_clock_sources(folder: Path) -> list[ClockSources]:
    """Return those in a folder: one on every Linux."""
    devices = [folder / name for name in numbered(folder, "clocksource")]
    return [
        ClockSources(KeptFile(device / "available_clocksource"), KeptFile(device / "current_clocksource"))
        for device in devices
    ]
