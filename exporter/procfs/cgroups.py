"""Control groups of systemd units, version 1, 2 and both at once: where they are, and their files to numbers.

The formats are those of cgroups(7) and of the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/. Times
are whole microseconds, so that sums never drift. No metric names here.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.kept import read_file
from selfheal.common.procfs import TICKS_PER_SECOND

_TICK = 1_000_000 // TICKS_PER_SECOND

# version 1 writes "no limit" as the largest whole page below 2^63
_NO_LIMIT = 1 << 62

# the group went away, its controller is not switched on, or the kernel was built without it
_ABSENT = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.EOPNOTSUPP})

# of some fifty lines two are wanted; the names without total_ are in version 1 those of the group alone
_ANON = re.compile(rb"^(?:anon|total_rss) (\d+)$", re.MULTILINE)
_FILE = re.compile(rb"^(?:file|total_cache) (\d+)$", re.MULTILINE)

# slices may nest; no real tree comes near
_DEEPEST = 16


class Usage(NamedTuple):
    """What one unit used since it was started, and what it holds now; None where the kernel does not say.

    `…_some` is the time in which at least one task waited, `…_full` that in which all did.
    """

    user: int | None = None
    system: int | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled: int | None = None
    oom_kills: int | None = None
    cpu_some: int | None = None
    cpu_full: int | None = None
    memory_some: int | None = None
    memory_full: int | None = None
    io_some: int | None = None
    io_full: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    reads: int | None = None
    writes: int | None = None
    memory: int | None = None
    memory_limit: int | None = None
    anon: int | None = None
    file: int | None = None


COUNTERS = Usage._fields[: Usage._fields.index("memory")]
"""The fields that only grow while the unit lives."""


class Layout(NamedTuple):
    """Where each controller's tree is. In version 2 all are one; both versions can be there at once."""

    units: str
    """The tree in which every unit has its folder."""
    unified: str | None
    cpuacct: str | None = None
    cpu: str | None = None
    memory: str | None = None
    blkio: str | None = None


def find_layout(root: Path) -> Layout | None:
    """Given where control groups are mounted, return how they are laid out there, or None if there are none."""
    if (root / "cgroup.controllers").exists():
        return Layout(str(root), str(root))
    unified = str(root / "unified") if (root / "unified/cgroup.controllers").exists() else None
    trees = {name: _tree(root, name) for name in ("cpuacct", "cpu", "memory", "blkio")}
    units = _tree(root, "systemd") or unified or trees["memory"] or trees["cpu"]
    return None if units is None else Layout(units, unified, **trees)


def _tree(root: Path, controller: str) -> str | None:
    # the links cpu and cpuacct to the folder of both are not made everywhere
    for name in (controller, "cpu,cpuacct" if controller.startswith("cpu") else controller):
        if (root / name).is_dir():
            return str(root / name)
    return None


def list_units(tree: str) -> list[str]:
    """Given a tree, return the paths of its services, scopes and slices below it, sorted."""
    return sorted(_units_below(tree, "", 0))


def _units_below(tree: str, above: str, depth: int) -> Iterator[str]:
    try:
        with os.scandir(f"{tree}/{above}") as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if above and error.errno in _ABSENT:
            return
        raise
    for name in names:
        if name.endswith((".service", ".scope", ".slice")):
            yield above + name
        # what a service or a scope does with its own groups is its own matter, except that a user's manager
        # (user@1000.service) has units of its own
        if depth < _DEEPEST and (name.endswith(".slice") or (name.startswith("user@") and name.endswith(".service"))):
            yield from _units_below(tree, f"{above}{name}/", depth + 1)


def read_usage(layout: Layout, unit: str) -> Usage:
    """Given a unit's path, return its usage; only None in it if it has gone.

    Raise ValueError if a file is not as the kernel writes it, OSError if one cannot be read.
    """
    found: dict[str, int | None] = {}
    for tree, files in (
        (layout.cpuacct, _CPUACCT),
        (layout.cpu, _CPU),
        (layout.memory, _MEMORY),
        (layout.blkio, _BLKIO),
        # last, for where both versions give the CPU time this one is the finer
        (layout.unified, _UNIFIED),
    ):
        if tree is not None:
            for name, parse in files.items():
                data = _read(f"{tree}/{unit}/{name}")
                if data is not None:
                    found |= _parsed(parse, data, f"{tree}/{unit}/{name}")
    return Usage(**found)


def _read(path: str) -> bytes | None:
    try:
        return read_file(path)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def _parsed(parse: Callable[[bytes], Mapping[str, int | None]], data: bytes, path: str) -> Mapping[str, int | None]:
    try:
        return parse(data)
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{path} is not as the kernel writes it") from error


def _pairs(data: bytes) -> dict[bytes, int]:
    """Given lines of a name and a number, return the numbers by name."""
    words = data.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


def parse_cpu_stat(data: bytes) -> dict[str, int | None]:
    """Given version 2's `cpu.stat`, return times and, if the controller is on, throttling."""
    pairs = _pairs(data)
    found: dict[str, int | None] = {"user": pairs[b"user_usec"], "system": pairs[b"system_usec"]}
    if b"nr_periods" in pairs:
        found["periods"] = pairs[b"nr_periods"]
        found["throttled_periods"] = pairs[b"nr_throttled"]
        found["throttled"] = pairs[b"throttled_usec"]
    return found


def parse_memory_stat(data: bytes) -> dict[str, int | None]:
    """Given `memory.stat`, return anonymous and file memory of the unit with all below it."""
    anon, file = _ANON.search(data), _FILE.search(data)
    if anon is None or file is None:
        raise ValueError("anonymous or file memory is missing")
    return {"anon": int(anon[1]), "file": int(file[1])}


def parse_limit(data: bytes) -> dict[str, int | None]:
    """Given `memory.max` or `memory.limit_in_bytes`, return the limit, None if there is none."""
    limit = None if data.strip() == b"max" else int(data)
    return {"memory_limit": None if limit is None or limit >= _NO_LIMIT else limit}


def parse_oom_kills(data: bytes) -> dict[str, int | None]:
    """Given `memory.events` or `memory.oom_control`, return how many processes the kernel ended for want of memory."""
    return {"oom_kills": _pairs(data).get(b"oom_kill")}


def parse_io_stat(data: bytes) -> dict[str, int | None]:
    """Given version 2's `io.stat`, return the sums over all devices."""
    totals = dict.fromkeys((b"rbytes", b"wbytes", b"rios", b"wios"), 0)
    for word in data.split():
        key, equals, value = word.partition(b"=")
        if equals and key in totals:
            totals[key] += int(value)
    names = ("read_bytes", "written_bytes", "reads", "writes")
    return dict(zip(names, totals.values(), strict=True))


def parse_pressure(data: bytes, resource: str) -> dict[str, int | None]:
    """Given a `….pressure` file, return how long some and how long all tasks waited for the resource."""
    found: dict[str, int | None] = {}
    for line in data.splitlines():
        share, _, rest = line.decode("ascii").partition(" ")
        if share in ("some", "full"):
            found[f"{resource}_{share}"] = int(rest[rest.index("total=") + 6 :])
    return found


def parse_cpuacct_stat(data: bytes) -> dict[str, int | None]:
    """Given version 1's `cpuacct.stat`, which counts ticks, return times."""
    pairs = _pairs(data)
    return {"user": pairs[b"user"] * _TICK, "system": pairs[b"system"] * _TICK}


def parse_throttling(data: bytes) -> dict[str, int | None]:
    """Given version 1's `cpu.stat`, which counts nanoseconds, return throttling."""
    pairs = _pairs(data)
    return {
        "periods": pairs[b"nr_periods"],
        "throttled_periods": pairs[b"nr_throttled"],
        "throttled": pairs[b"throttled_time"] // 1000,
    }


def parse_blkio(data: bytes, read: str, written: str) -> dict[str, int | None]:
    """Given one of version 1's `blkio.throttle.…` tables, return the sums over all devices under these names."""
    totals = {b"Read": 0, b"Write": 0}
    for line in data.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in totals:
            totals[words[1]] += int(words[2])
    return {read: totals[b"Read"], written: totals[b"Write"]}


_Files = dict[str, Callable[[bytes], Mapping[str, int | None]]]

_UNIFIED: _Files = {
    "cpu.stat": parse_cpu_stat,
    "memory.current": lambda data: {"memory": int(data)},
    "memory.max": parse_limit,
    "memory.stat": parse_memory_stat,
    "memory.events": parse_oom_kills,
    "io.stat": parse_io_stat,
    "cpu.pressure": lambda data: parse_pressure(data, "cpu"),
    "memory.pressure": lambda data: parse_pressure(data, "memory"),
    "io.pressure": lambda data: parse_pressure(data, "io"),
}
_CPUACCT: _Files = {"cpuacct.stat": parse_cpuacct_stat}
_CPU: _Files = {"cpu.stat": parse_throttling}
_MEMORY: _Files = {
    "memory.usage_in_bytes": lambda data: {"memory": int(data)},
    "memory.limit_in_bytes": parse_limit,
    "memory.stat": parse_memory_stat,
    "memory.oom_control": parse_oom_kills,
}
_BLKIO: _Files = {
    "blkio.throttle.io_service_bytes_recursive": lambda data: parse_blkio(data, "read_bytes", "written_bytes"),
    "blkio.throttle.io_serviced_recursive": lambda data: parse_blkio(data, "reads", "writes"),
}
