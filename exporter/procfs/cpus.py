"""What sysfs says of each CPU: place, throttling, frequencies, whether it is isolated or online.

https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-devices-system-cpu
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.kept import KeptFile
from exporter.procfs.sysfs import numbered, read_count, read_text

_PREFIX = "cpu"
_KILOHERTZ = (
    "cpuinfo_cur_freq", "cpuinfo_min_freq", "cpuinfo_max_freq",
    "scaling_cur_freq", "scaling_min_freq", "scaling_max_freq",
)  # fmt: skip


class Frequencies(NamedTuple):
    """Of one CPU: kilohertz by the name of their file, where it can be read; the governor and all it could have."""

    kilohertz: dict[str, int]
    governor: str
    governors: list[str]


class Throttles(NamedTuple):
    """The files that count how often CPUs were too hot; a core's or package's CPUs share one count."""

    cores: dict[tuple[str, ...], Path]
    """By core and package."""
    packages: dict[tuple[str, ...], Path]
    """By package."""


def find_throttles(cpus: Path) -> Throttles:
    """Given the folder of the CPUs, return where throttling is counted: nothing on most virtual machines."""
    found = Throttles({}, {})
    for name in numbered(cpus, _PREFIX):
        package = read_count(cpus / name / "topology/physical_package_id")
        core = read_count(cpus / name / "topology/core_id")
        if package is None or core is None:
            continue
        folder = cpus / name / "thermal_throttle"
        _note(found.cores, (str(core), str(package)), folder / "core_throttle_count")
        _note(found.packages, (str(package),), folder / "package_throttle_count")
    return found


def _note(files: dict[tuple[str, ...], Path], key: tuple[str, ...], file: Path) -> None:
    if key not in files and read_count(file) is not None:
        files[key] = file


def read_online(cpus: Path) -> dict[str, bool]:
    """Given the folder of the CPUs, return which are online; nothing where the first cannot be switched off.

    node_exporter leaves them all out there too, so that a CPU without the file is not taken for one that is off.
    """
    names = numbered(cpus, _PREFIX)
    if not names or not (cpus / names[0] / "online").exists():
        return {}
    return {name.removeprefix(_PREFIX): read_count(cpus / name / "online") == 1 for name in names}


def read_isolated(cpus: Path) -> list[str]:
    """Given the folder of the CPUs, return the numbers of those that the scheduler leaves alone.

    Raise ValueError if the list is broken.
    """
    return parse_list(_text_or_none(cpus / "isolated"))


def parse_list(text: str) -> list[str]:
    """Given a list of the kernel such as `0,4-7`, return each number in it. Raise ValueError if it is none."""
    numbers: list[str] = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        numbers += map(str, range(int(first), int(last or first) + 1))
    return numbers


class Policies:
    """The `cpufreq` folders of the CPUs that are online."""

    def __init__(self, cpus: Path) -> None:
        self._cpus = cpus
        self._offline = KeptFile(cpus / "offline")
        self._seen: bytes | None = None
        self._folders: dict[str, str] = {}

    def read(self) -> dict[str, Frequencies]:
        """Return the frequencies of each CPU that has any, by its number.

        Raise OSError if the list of those that are offline cannot be read, ValueError if it is broken.
        """
        offline = self._offline.read()
        if offline != self._seen:
            # one that is plugged in is offline at first, so the folders need not be listed every time
            without = set(parse_list(offline.decode().strip()))
            names = {name.removeprefix(_PREFIX): name for name in numbered(self._cpus, _PREFIX)}
            self._folders = {cpu: f"{self._cpus}/{name}/cpufreq" for cpu, name in names.items() if cpu not in without}
            self._seen = offline
        # the driver may be loaded at any time
        return {cpu: _read_policy(folder) for cpu, folder in self._folders.items() if os.access(folder, os.F_OK)}


def _read_policy(folder: str) -> Frequencies:
    kilohertz = {file: value for file in _KILOHERTZ if (value := read_count(f"{folder}/{file}")) is not None}
    governors = _text_or_none(f"{folder}/scaling_available_governors").split()
    return Frequencies(kilohertz, _text_or_none(f"{folder}/scaling_governor"), governors)


def _text_or_none(path: str | Path) -> str:
    try:
        return read_text(path)
    except OSError:
        return ""
