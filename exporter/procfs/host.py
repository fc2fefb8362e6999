"""The host's own files in procfs: stat, meminfo, vmstat, loadavg, file-nr, pressure, schedstat. Formats: proc(5)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.layout import Place

CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
SOFTIRQS = ("hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu")

_SCHEDULED = re.compile(rb"^cpu(\d+)" + rb" \d+" * 6 + rb" (\d+) (\d+) (\d+)", re.MULTILINE)
_KIB = 1024


class LoadAverage(NamedTuple):
    """Runnable tasks on average over 1, 5 and 15 minutes."""

    one: float
    five: float
    fifteen: float


class Activity(NamedTuple):
    """What the kernel has counted since boot, in `/proc/stat`; the time of boot is seconds since the epoch."""

    interrupts: int
    context_switches: int
    boot_time: int
    forks: int
    running: int
    blocked: int
    softirqs: tuple[int, ...]
    """In the order of `SOFTIRQS`."""


class Scheduled(NamedTuple):
    """Of one CPU: nanoseconds that tasks ran and waited for it, and how many slices they were given."""

    running: int
    waiting: int
    slices: int


def parse_cpu_ticks(data: bytes) -> dict[str, tuple[int, ...]]:
    """Given the bytes of `/proc/stat`, return ticks in the order of `CPU_FIELDS` for every CPU by its number.

    Raise ValueError if there is no CPU or a line of one is broken. Kernels older than a field leave it out; it is 0.
    """
    cpus: dict[str, tuple[int, ...]] = {}
    # the line of the interrupts is next to the CPUs', and on large hosts longer than all else
    for line in data[: data.find(b"\nintr ")].split(b"\n") if b"\nintr " in data else data.split(b"\n"):
        if not line.startswith(b"cpu") or line.startswith(b"cpu "):
            continue
        name, *texts = line.split()
        ticks = tuple(map(int, texts))
        if len(ticks) < 4:
            raise ValueError(f"the line of {name.decode('ascii', 'replace')} is not whole")
        if len(ticks) != len(CPU_FIELDS):
            ticks = (ticks + (0,) * len(CPU_FIELDS))[: len(CPU_FIELDS)]
        cpus[str(int(name[3:]))] = ticks
    if not cpus:
        raise ValueError("no line of a CPU")
    return cpus


def parse_activity(data: bytes) -> Activity:
    """Given the bytes of `/proc/stat`, return what is said of the whole host. Raise ValueError if a line is missing."""
    begin = data.find(b"intr ")
    end = data.find(b"\n", begin)
    if begin < 0 or end < 0:
        raise ValueError("stat has no line of intr")
    # only the first number of that line is wanted, and there may be thousands
    interrupts = int(data[begin + 5 : end].split(b" ", 1)[0])
    lines = dict(line.split(b" ", 1) for line in data[end + 1 :].split(b"\n") if b" " in line)
    try:
        vectors = tuple(map(int, lines[b"softirq"].split()[1:]))
        return Activity(
            interrupts=interrupts,
            context_switches=int(lines[b"ctxt"]),
            boot_time=int(lines[b"btime"]),
            forks=int(lines[b"processes"]),
            running=int(lines[b"procs_running"]),
            blocked=int(lines[b"procs_blocked"]),
            softirqs=vectors[: len(SOFTIRQS)],
        )
    except KeyError as error:
        raise ValueError(f"stat has no line of {error.args[0].decode()}") from error


def find_meminfo(data: bytes) -> dict[str, Place]:
    """Given the bytes of `/proc/meminfo`, return where each field's number stands, by node_exporter's name for it.

    `Active(anon):  4 kB` is `Active_anon_bytes`, in bytes; a field without a unit keeps its name. Raise ValueError if
    a line is broken or there is none.
    """
    places: dict[str, Place] = {}
    before = 0
    for line in data.decode("ascii", "replace").splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if not colon or not words or len(name.split()) != 1:
            raise ValueError(f"not a line of meminfo: {line!r}")
        if not words[0].isdigit() or words[1:] not in ([], ["kB"]):
            raise ValueError(f"unknown unit in meminfo: {line!r}")
        key = name.replace("(", "_").replace(")", "")
        if len(words) == 2:
            places[f"{key}_bytes"] = Place(before + 1, _KIB)
        else:
            places[key] = Place(before + 1, 1)
        before += 1 + len(words)
    if not places:
        raise ValueError("meminfo is empty")
    return places


def vmstat_finder(wanted: Callable[[str], bool]) -> Callable[[bytes], Mapping[str, Place]]:
    """Given which fields are wanted, return the function that finds where their numbers stand in `/proc/vmstat`."""

    def find(data: bytes) -> dict[str, Place]:
        places = {}
        for number, line in enumerate(data.decode("ascii", "replace").splitlines()):
            words = line.split()
            if len(words) != 2 or not words[1].isdigit():
                raise ValueError(f"not a line of vmstat: {line!r}")
            if wanted(words[0]):
                places[words[0]] = Place(2 * number + 1, 1)
        return places

    return find


def parse_load_average(data: bytes) -> LoadAverage:
    """Given the bytes of `/proc/loadavg`, return the three averages. Raise ValueError if they are not there."""
    words = data.split(b" ", 3)
    if len(words) < 3:
        raise ValueError("loadavg is not whole")
    return LoadAverage(float(words[0]), float(words[1]), float(words[2]))


def parse_file_numbers(data: bytes) -> tuple[int, int]:
    """Given the bytes of `/proc/sys/fs/file-nr`, return how many files are open and how many may be.

    Raise ValueError if they are not there.
    """
    words = data.split()
    if len(words) < 3:
        raise ValueError("file-nr is not whole")
    return int(words[0]), int(words[2])


def parse_pressure(data: bytes) -> dict[str, int]:
    """Given the bytes of a file of `/proc/pressure`, return microseconds by `some` (tasks waited) and `full` (all did).

    Raise ValueError if it is empty or a line is broken. https://docs.kernel.org/accounting/psi.html
    """
    found = {}
    for line in data.splitlines():
        kind, _, rest = line.partition(b" ")
        found[kind.decode("ascii", "replace")] = int(rest.rpartition(b"total=")[2])
    if not found:
        raise ValueError("a file of pressure is empty")
    return found


def parse_schedstat(data: bytes) -> dict[str, Scheduled]:
    """Given the bytes of `/proc/schedstat`, return what they say of each CPU by its number.

    Raise ValueError if there is none. https://docs.kernel.org/scheduler/sched-stats.html
    """
    cpus = {cpu.decode(): Scheduled(*map(int, numbers)) for cpu, *numbers in _SCHEDULED.findall(data)}
    if not cpus:
        raise ValueError("schedstat has no line of a CPU")
    return cpus


def read_uptime(procfs: Path) -> float:
    """Return seconds since boot. Raise OSError or ValueError if `/proc/uptime` cannot be read."""
    words = (procfs / "uptime").read_bytes().split()
    seconds = float(words[0]) if words else math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{procfs}/uptime tells no time")
    return seconds
