"""The details that are read only of the members of groups: switches, bytes read and written, descriptors, threads."""

from __future__ import annotations

import os
import re
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from selfheal.common.procfs import GONE, ProcessFolder, Stat

_SWAPPED = re.compile(rb"^VmSwap:\s+(\d+) kB", re.MULTILINE)
_THREAD_STATE = re.compile(rb"^State:\s+(\S)", re.MULTILINE)
_VOLUNTARY = re.compile(rb"^voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
_NONVOLUNTARY = re.compile(rb"^nonvoluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
_READ = re.compile(rb"^read_bytes: (\d+)", re.MULTILINE)
_WRITTEN = re.compile(rb"^write_bytes: (\d+)", re.MULTILINE)
_OPEN_FILES = re.compile(rb"^Max open files\s+(\d+|unlimited)", re.MULTILINE)


class Counters(NamedTuple):
    """What one process has used since it began; None where it may not be read."""

    user_ticks: int
    system_ticks: int
    minor_faults: int
    major_faults: int
    voluntary_switches: int
    nonvoluntary_switches: int
    read_bytes: int | None
    written_bytes: int | None


@dataclass(slots=True)
class Details:
    """What is read only of the members of groups."""

    counters: Counters
    swapped_bytes: int
    thread_states: str
    open_files: int | None
    open_files_limit: int | None


class MemberReader:
    """Reads members' details in the cheapest way that this procfs allows."""

    def __init__(self, procfs: Path) -> None:
        # system calls that take a pid answer about our own namespace, which another procfs need not show
        self.shows_ourselves = _shows_ourselves(procfs)
        self._fd_sizes = self.shows_ourselves and _folder_size_counts(procfs)
        self.partial = 0
        """How often something could not be read for want of rights, since the beginning."""

    def read(self, folder: ProcessFolder, pid: int, stat: Stat) -> Details:
        """Return the details of one process. Raise OSError, one of GONE if it has ended."""
        status = folder.read("status")
        voluntary, nonvoluntary = _number(_VOLUNTARY, status), _number(_NONVOLUNTARY, status)
        states = stat.state
        if stat.threads > 1:
            voluntary, nonvoluntary, states = _sum_threads(folder)
        read, written = self._io(folder)
        counters = Counters(
            stat.user_ticks, stat.system_ticks, stat.minor_faults, stat.major_faults,
            voluntary, nonvoluntary, read, written,
        )  # fmt: skip
        swapped = swapped_bytes(status)
        return Details(counters, swapped, states, self._open_files(folder), self._open_files_limit(folder, pid))

    def _io(self, folder: ProcessFolder) -> tuple[int | None, int | None]:
        try:
            data = folder.read("io")
        except PermissionError:
            # the processes of other users, unless we are root
            self.partial += 1
            return None, None
        except FileNotFoundError:
            # a kernel without I/O accounting; if instead the process has ended, the next read says so
            return None, None
        return _number(_READ, data), _number(_WRITTEN, data)

    def _open_files(self, folder: ProcessFolder) -> int | None:
        try:
            return folder.size("fd") if self._fd_sizes else len(folder.list("fd"))
        except PermissionError:
            self.partial += 1
            return None

    def _open_files_limit(self, folder: ProcessFolder, pid: int) -> int | None:
        if self.shows_ourselves:
            try:
                soft = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
            except PermissionError:
                # refused for other users' processes; the file may be read by all
                pass
            else:
                return None if soft == resource.RLIM_INFINITY else soft
        found = _OPEN_FILES.search(folder.read("limits"))
        return None if found is None or found[1] == b"unlimited" else int(found[1])


def _shows_ourselves(procfs: Path) -> bool:
    try:
        return (procfs / "self").readlink() == Path(str(os.getpid()))
    except OSError:
        return False


def _folder_size_counts(procfs: Path) -> bool:
    # since Linux 6.2 the size of /proc/PID/fd is the number of its entries; before it was 0
    return (procfs / "self/fd").stat().st_size > 0


def swapped_bytes(status: bytes) -> int:
    """Given the bytes of `/proc/PID/status`, return what of the process is in swap."""
    return _number(_SWAPPED, status) * 1024


def _sum_threads(folder: ProcessFolder) -> tuple[int, int, str]:
    voluntary = nonvoluntary = 0
    states = []
    for thread in folder.list("task"):
        try:
            status = folder.read(f"task/{thread}/status")
        except GONE:
            continue
        voluntary += _number(_VOLUNTARY, status)
        nonvoluntary += _number(_NONVOLUNTARY, status)
        state = _THREAD_STATE.search(status)
        states.append(state[1].decode("ascii", "replace") if state else "?")
    return voluntary, nonvoluntary, "".join(states)


def _number(pattern: re.Pattern[bytes], data: bytes) -> int:
    """Given a pattern with one number, return it; 0 where the kernel leaves the line out."""
    found = pattern.search(data)
    return int(found[1]) if found else 0
