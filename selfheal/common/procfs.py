"""One process as `/proc` shows it: reading and parsing, safe against processes that vanish and names that lie.

The formats are those of proc(5). Nothing here knows groups, metrics or signals.
"""

from __future__ import annotations

import errno
import mmap
import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

PAGE_BYTES = mmap.PAGESIZE
# Windows has no sysconf, and nothing there is counted in ticks
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

# a read that meets one of these met a process that has ended, not one that may not be read
GONE = (FileNotFoundError, ProcessLookupError, NotADirectoryError)

_CHUNK = 1 << 16
MOST_ARGUMENT_BYTES = 1 << 17
"""How much of a process's arguments is read: any user can start one with megabytes of them.

The kernel lets a single argument be as long."""
_EFFECTIVE_UID = re.compile(rb"^Uid:\s+\d+\s+(\d+)", re.MULTILINE)


class Stat(NamedTuple):
    """What `/proc/PID/stat` says, in the kernel's units: ticks, pages, bytes as named."""

    comm: str
    state: str
    ppid: int
    minor_faults: int
    major_faults: int
    user_ticks: int
    system_ticks: int
    threads: int
    start_ticks: int
    virtual_bytes: int
    resident_pages: int


@dataclass(frozen=True, slots=True)
class Process:
    """One process at the moment it was read; `pid` and `start_ticks` together are its identity within one boot.

    `exe` is the first argument as the process was started (its `comm` if it has none), as process-exporter has it;
    a process can choose that freely. `cpu_ticks` is user plus system.
    """

    pid: int
    start_ticks: int
    uid: int
    ppid: int
    comm: str
    argv: tuple[str, ...]
    exe: str
    state: str
    resident_bytes: int
    cpu_ticks: int
    threads: int = 1
    cgroups: tuple[str, ...] = ()
    started: float = 0.0
    """Seconds since the epoch; 0 where nobody asked for it."""
    user: str = ""
    """The user's name where users have no numbers; else empty."""

    @property
    def is_zombie(self) -> bool:
        """Say whether it has ended and waits for its parent.

        A process whose main thread alone has ended also shows Z, but lives on in its other threads.
        """
        return self.state in ("Z", "X") and self.threads <= 1


class ProcessFolder:
    """`/proc/PID`, held open: once the process has ended every read fails, even if its pid is given to another."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, procfs: Path | str, pid: int) -> None:
        self.path = f"{procfs}/{pid}"
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> ProcessFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read(self, name: str, most: int = sys.maxsize) -> bytes:
        """Return one file of this process, as far as `most` bytes. Raise OSError, one of GONE if it has ended."""
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._descriptor)
        try:
            data = os.read(descriptor, min(most, _CHUNK))
            if len(data) < 4096:
                # procfs hands out at least a page a read, so a shorter answer is the whole file
                return data
            parts, left = [data], most - len(data)
            while left and (part := os.read(descriptor, min(left, _CHUNK))):
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)

    def list(self, name: str) -> list[str]:
        """Return the names inside one folder of this process. Raise OSError, one of GONE if the process has ended."""
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._descriptor)
        try:
            return os.listdir(descriptor)  # noqa: PTH208 - a Path cannot list a descriptor
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int:
        """Return the size that one entry claims. Raise OSError, one of GONE if the process has ended."""
        return os.stat(name, dir_fd=self._descriptor).st_size

    def owner(self) -> int:
        """Return the uid that owns the folder."""
        return os.fstat(self._descriptor).st_uid


def parse_stat(data: bytes) -> Stat:
    """Given the bytes of `/proc/PID/stat`, return them parsed. Raise ValueError if they are not such a line.

    The name stands in parentheses and may itself hold parentheses, spaces and line breaks: it ends at the last `)`.
    """
    opening, closing = data.find(b"("), data.rfind(b")")
    if opening < 0 or closing < opening:
        raise ValueError("not a stat line: no name in parentheses")
    fields = data[closing + 1 :].split()
    if len(fields) < 22:
        raise ValueError(f"not a whole stat line: {len(fields)} fields after the name, at least 22 expected")
    return Stat(
        data[opening + 1 : closing].decode("utf-8", "replace"),
        fields[0].decode("ascii", "replace"),
        int(fields[1]),
        int(fields[7]),
        int(fields[9]),
        int(fields[11]),
        int(fields[12]),
        int(fields[17]),
        int(fields[19]),
        int(fields[20]),
        int(fields[21]),
    )


def parse_argv(data: bytes) -> tuple[str, ...]:
    """Given the bytes of `/proc/PID/cmdline`, return the arguments; none for kernel threads and zombies."""
    stripped = data.rstrip(b"\0")
    return tuple(stripped.decode("utf-8", "replace").split("\0")) if stripped else ()


def parse_resident_bytes(data: bytes) -> int:
    """Given the bytes of `/proc/PID/statm`, return resident bytes. Raise ValueError if they are not such a line."""
    fields = data.split()
    if len(fields) < 2:
        raise ValueError("not a statm line")
    return int(fields[1]) * PAGE_BYTES


def parse_effective_uid(data: bytes) -> int:
    """Given the bytes of `/proc/PID/status`, return the effective uid. Raise ValueError if there is none."""
    found = _EFFECTIVE_UID.search(data)
    if found is None:
        raise ValueError("no Uid line in status")
    return int(found[1])


def parse_cgroups(data: bytes) -> tuple[str, ...]:
    """Given the bytes of `/proc/PID/cgroup`, return the path of each line."""
    lines = data.decode("utf-8", "replace").splitlines()
    return tuple(line.split(":", 2)[2] for line in lines if line.count(":") >= 2)


def list_pids(procfs: Path) -> list[int]:
    """Return the pids under `procfs`, ascending. Raise OSError if it cannot be listed."""
    # names alone are wanted, of every process at every scrape
    names = os.listdir(procfs)  # noqa: PTH208
    return sorted(int(name) for name in names if name.isdecimal() and name.isascii())


def read_process(procfs: Path, pid: int) -> Process | None:
    """Given a pid, return its process, or None if it has ended.

    Raise OSError, naming the file, if it is there and cannot be read or understood.
    """
    try:
        with ProcessFolder(procfs, pid) as folder:
            return _read(folder, pid)
    except GONE:
        return None


def _read(folder: ProcessFolder, pid: int) -> Process:
    name = "stat"
    try:
        stat = parse_stat(folder.read(name))
        name = "cmdline"
        argv = parse_argv(folder.read(name, MOST_ARGUMENT_BYTES))
        name = "statm"
        resident = parse_resident_bytes(folder.read(name))
        name = "status"
        uid = parse_effective_uid(folder.read(name))
        name = "cgroup"
        cgroups = _read_cgroups(folder)
    except ValueError as error:
        raise OSError(errno.EBADMSG, f"cannot understand it: {error}", f"{folder.path}/{name}") from error
    exe = (argv[0] if argv else "") or stat.comm
    ticks = stat.user_ticks + stat.system_ticks
    return Process(
        pid, stat.start_ticks, uid, stat.ppid, stat.comm, argv, exe, stat.state, resident, ticks, stat.threads,
        cgroups, _started(folder.path.rpartition("/")[0], stat.start_ticks),
    )  # fmt: skip


def _read_cgroups(folder: ProcessFolder) -> tuple[str, ...]:
    try:
        return parse_cgroups(folder.read("cgroup"))
    except FileNotFoundError:
        # a kernel without control groups; whether the process has ended was told by what was read before
        return ()


def _started(procfs: str, start_ticks: int) -> float:
    try:
        return _boot_time(procfs) + start_ticks / TICKS_PER_SECOND
    except (OSError, ValueError):
        # a procfs without the host's own files; nothing but a name by it needs the time
        return 0.0


@lru_cache(maxsize=8)
def _boot_time(procfs: str) -> float:
    # once: the kernel derives it from the clock, which may be set, and the start of a process must not change with it
    return boot_time(Path(procfs))


def boot_id(procfs: Path) -> str:
    """Return the id that the kernel drew at boot. Raise OSError if it cannot be read."""
    return (procfs / "sys/kernel/random/boot_id").read_text("ascii").strip()


def boot_time(procfs: Path) -> float:
    """Return when the machine booted, in seconds since the epoch, from `btime` of `/proc/stat`.

    Raise OSError if it cannot be read, ValueError if it holds no `btime`.
    """
    for line in (procfs / "stat").read_bytes().splitlines():
        if line.startswith(b"btime "):
            return float(line.split()[1])
    raise ValueError(f"no btime in {procfs}/stat")
