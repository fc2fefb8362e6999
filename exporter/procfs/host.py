"""The host's own files in procfs: stat, meminfo, loadavg, uptime. Formats: proc(5)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


class LoadAverage(NamedTuple):
    """Runnable tasks on average over 1, 5 and 15 minutes."""

    one: float
    five: float
    fifteen: float


def parse_cpu_ticks(data: bytes) -> dict[str, dict[str, int]]:
    """Given the bytes of `/proc/stat`, return ticks by field for every CPU by its number.

    Raise ValueError if there is no CPU or a line of one is broken. Kernels older than a field leave it out; it is 0.
    """
    cpus: dict[str, dict[str, int]] = {}
    for line in data.splitlines():
        name, _, rest = line.partition(b" ")
        if not name.startswith(b"cpu") or name == b"cpu":
            continue
        ticks = [int(text) for text in rest.split()]
        if len(ticks) < 4:
            raise ValueError(f"the line of {name.decode('ascii', 'replace')} is not whole")
        padded = ticks + [0] * len(CPU_FIELDS)
        cpus[str(int(name[3:]))] = dict(zip(CPU_FIELDS, padded, strict=False))
    if not cpus:
        raise ValueError("no line of a CPU")
    return cpus


def parse_meminfo(data: bytes) -> dict[str, int]:
    """Given the bytes of `/proc/meminfo`, return each field by node_exporter's name for it, in bytes or, bare, counts.

    `Active(anon):  4 kB` is `Active_anon_bytes: 4096`. Raise ValueError if a line is broken or there is none.
    """
    fields: dict[str, int] = {}
    for line in data.decode("ascii", "replace").splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if not colon or not words:
            raise ValueError(f"not a line of meminfo: {line!r}")
        key = name.replace("(", "_").replace(")", "")
        if words[1:] == ["kB"]:
            fields[f"{key}_bytes"] = int(words[0]) * 1024
        elif len(words) == 1:
            fields[key] = int(words[0])
        else:
            raise ValueError(f"unknown unit in meminfo: {line!r}")
    if not fields:
        raise ValueError("meminfo is empty")
    return fields


def parse_load_average(data: bytes) -> LoadAverage:
    """Given the bytes of `/proc/loadavg`, return the three averages. Raise ValueError if they are not there."""
    words = data.split()
    if len(words) < 3:
        raise ValueError("loadavg is not whole")
    return LoadAverage(float(words[0]), float(words[1]), float(words[2]))


def read_uptime(procfs: Path) -> float:
    """Return seconds since boot. Raise OSError or ValueError if `/proc/uptime` cannot be read."""
    words = (procfs / "uptime").read_bytes().split()
    if not words:
        raise ValueError(f"{procfs}/uptime is empty")
    return float(words[0])
