"""One process's files under procfs, read and parsed in the cheapest way that this procfs and our rights allow.

The formats are those of proc(5). What a pid names can change between two reads; whoever asks reads `stat` last and
compares the start, which shows that all was one process's.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from exporter.procfs.kept import KeptFile
from exporter.procfs.taskstats import TaskStats, TaskStatsError, Told
from selfheal.common.procfs import GONE, MOST_ARGUMENT_BYTES, PAGE_BYTES

try:
    import resource
except ImportError:
    # Windows: this is imported there for the sake of the flags, and never called
    pass

UNLIMITED = float(2**64 - 1)
"""What an unlimited number of open files counts as: the kernel's largest, as process-exporter has it."""

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
_SMALL = 1024
_LARGE = 1 << 16


class Stat(NamedTuple):
    """What is used of `/proc/PID/stat`; in ticks, bytes and pages.

    `stack` is where the main thread's stack begins, another place after every exec; `0` if that is hidden from us.
    """

    comm: bytes
    state: str
    ppid: int
    minor_faults: int
    major_faults: int
    user_ticks: int
    system_ticks: int
    threads: int
    start_ticks: int
    virtual_bytes: int
    stack: bytes


class Thread(NamedTuple):
    """One thread of a process, as far as it is asked for; counters since it began."""

    tid: int
    start_ticks: int
    name: str
    state: str
    wchan: str
    counters: tuple[int, ...]


def slurp(path: bytes, size: int = _SMALL, most: int = sys.maxsize) -> bytes:
    """Return one file, as far as `most` bytes. Raise OSError, one of GONE if its process has ended."""
    descriptor = os.open(path, _FLAGS)
    try:
        data = os.read(descriptor, size)
        if len(data) < size:
            # procfs fills what it is given as far as a page, so a shorter answer is the whole file
            return data
        parts, left = [data], most - size
        while left and (part := os.read(descriptor, min(left, _LARGE))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def read_arguments(path: bytes) -> bytes:
    """Return the arguments of a process, as far as they are read. Raise OSError, one of GONE if it has ended."""
    return slurp(path + b"cmdline", 4096, MOST_ARGUMENT_BYTES)


# without the checks of its own constructor, which cost as much as the rest of it
_new_stat = partial(tuple.__new__, Stat)


def parse_stat(data: bytes) -> Stat:
    """Given the bytes of `/proc/PID/stat`, return what is used of them. Raise ValueError if they are not such a line.

    The name stands in parentheses and may itself hold parentheses, spaces and line breaks: it ends at the last `)`.
    """
    opening, closing = data.find(b"("), data.rfind(b")")
    if not 0 <= opening < closing:
        raise ValueError(f"not a stat line: {data[:80]!r}")
    (
        state, ppid, _, _, _, _, _, minor, _, major, _, user, system, _, _, _, _, threads, _, start, virtual, _, _, _,
        _, stack, _,
    ) = data[closing + 1 :].split(None, 26)  # fmt: skip
    return _new_stat(
        (
            data[opening + 1 : closing],
            state.decode("ascii", "replace"),
            int(ppid),
            int(minor),
            int(major),
            int(user),
            int(system),
            int(threads),
            int(start),
            int(virtual),
            stack,
        )
    )


def parse_resident_pages(data: bytes) -> int:
    """Given the beginning of `/proc/PID/statm`, return resident pages. Raise ValueError if it is none."""
    fields = data.split(None, 2)
    if len(fields) < 2:
        raise ValueError("not a statm line")
    return int(fields[1])


def parse_io(data: bytes) -> tuple[int, int]:
    """Given the bytes of `/proc/PID/io`, return bytes read from and written to storage; -1 where a line is missing."""
    fields = data.split(None, 12)
    if len(fields) > 11 and fields[8] == b"read_bytes:" and fields[10] == b"write_bytes:":
        return int(fields[9]), int(fields[11])
    return number_after(data, b"\nread_bytes:", -1), number_after(data, b"\nwrite_bytes:", -1)


def parse_switches(status: bytes) -> tuple[int, int]:
    """Given the bytes of a `status` file, return voluntary and nonvoluntary context switches; 0 where missing."""
    return (
        number_after(status, b"\nvoluntary_ctxt_switches:", 0),
        number_after(status, b"\nnonvoluntary_ctxt_switches:", 0),
    )


def parse_swapped_bytes(status: bytes) -> int:
    """Given the bytes of `/proc/PID/status`, return what of the process is in swap."""
    return number_after(status, b"\nVmSwap:", 0) * 1024


def parse_proportional(data: bytes) -> tuple[int, int]:
    """Given the bytes of `/proc/PID/smaps_rollup`, return the proportional share of memory and of swap, in bytes."""
    return number_after(data, b"\nPss:", 0) * 1024, number_after(data, b"\nSwapPss:", 0) * 1024


def parse_open_files_limit(limits: bytes) -> float:
    """Given the bytes of `/proc/PID/limits`, return the soft limit of open files."""
    place = limits.find(b"\nMax open files ")
    word = limits[place + 16 : place + 80].split(None, 1)[:1] if place >= 0 else []
    return float(int(word[0])) if word and word[0].isdigit() else UNLIMITED


def number_after(data: bytes, key: bytes, missing: int) -> int:
    """Given the bytes of a file and the beginning of a line, return the number after it."""
    # from the end: what is asked for stands there
    place = data.rfind(key)
    if place < 0:
        return missing
    word = data[place + len(key) : place + len(key) + 40].split(None, 1)[:1]
    return int(word[0]) if word and word[0].isdigit() else missing


class Rights:
    """What this procfs tells us, and how; asked once."""

    def __init__(self, procfs: Path) -> None:
        # system calls that take a pid answer about our own namespace, which another procfs need not show
        self.shows_ourselves = shows_ourselves(procfs)
        # since Linux 6.2 the size of /proc/PID/fd is the number of its entries; before it was 0
        self.fd_sizes = self.shows_ourselves and (procfs / "self/fd").stat().st_size > 0
        self._randomness = KeptFile(procfs / "sys/kernel/randomize_va_space")
        self._taskstats: TaskStats | None = None
        if self.shows_ourselves:
            try:
                self._taskstats = TaskStats(procfs)
            except TaskStatsError:
                # without the right to it: more is read instead
                pass

    def ask(self, singles: Sequence[int], others: Sequence[int]) -> Mapping[int, Told]:
        """Given pids with one thread and with more, return what the kernel tells of them: of none if it does not."""
        if self._taskstats is None or not (singles or others):
            return {}
        try:
            return self._taskstats.read(singles, others)
        except OSError:
            self._taskstats = None
            return {}

    def stacks_differ(self) -> bool:
        """Say whether the kernel puts the stack of each new program somewhere else: its setting is not 0."""
        try:
            return self._randomness.read().strip() != b"0"
        except OSError:
            # only a written tree lacks it, and of that everything is read every time
            return True


def shows_ourselves(procfs: Path) -> bool:
    """Say whether the pids under this procfs are those of our own pid namespace, and it is alive."""
    try:
        if (procfs / "self").readlink() != Path(str(os.getpid())):
            return False
        # our pid in the namespace of this procfs and in each below it: in another it may be equal by chance
        found = re.search(rb"^NSpid:(.*)$", (procfs / "self/status").read_bytes(), re.MULTILINE)
    except OSError:
        return False
    return found is None or len(found[1].split()) == 1


def count_open_files(path: bytes, rights: Rights) -> int:
    """Given `/proc/PID/`, return how many files are open. Raise OSError, PermissionError if that is hidden."""
    # listing is refused for other users' processes, the size is not
    return os.stat(path + b"fd").st_size if rights.fd_sizes else len(os.listdir(path + b"fd"))  # noqa: PTH116, PTH208


def read_open_files_limit(path: bytes, pid: int, rights: Rights) -> float:
    """Return the soft limit of open files of one process. Raise OSError, one of GONE if it has ended."""
    if rights.shows_ourselves:
        try:
            soft = resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
        except PermissionError:
            # refused for other users' processes; the file may be read by all
            pass
        else:
            return UNLIMITED if soft == resource.RLIM_INFINITY else float(soft)
    return parse_open_files_limit(slurp(path + b"limits", 4096))


def read_threads(path: bytes, with_switches: bool, in_full: bool) -> list[Thread]:
    """Given `/proc/PID/`, return its threads; their switches, and all else but the state, only if asked for.

    Raise OSError, one of GONE if the process has ended; threads that end meanwhile are left out.
    """
    read = _read_thread if in_full else _read_thread_switches if with_switches else _read_thread_state
    threads = []
    for tid in os.listdir(path + b"task"):  # noqa: PTH208
        try:
            threads.append(read(path + b"task/%b/" % tid, int(tid)))
        except GONE:
            continue
    return threads


def _read_thread(path: bytes, tid: int) -> Thread:
    switches = parse_switches(slurp(path + b"status", 4096))
    used = (-1, -1)
    try:
        used = parse_io(slurp(path + b"io"))
    except (PermissionError, FileNotFoundError):
        # another user's, or a kernel without I/O accounting
        pass
    wchan = read_wchan(path)
    stat = parse_stat(slurp(path + b"stat"))
    counters = (
        stat.user_ticks, stat.system_ticks, stat.minor_faults, stat.major_faults, *switches, *used,
    )  # fmt: skip
    return Thread(tid, stat.start_ticks, stat.comm.decode("utf-8", "replace"), stat.state, wchan, counters)


def _read_thread_switches(path: bytes, tid: int) -> Thread:
    status = slurp(path + b"status", 4096)
    place = status.find(b"\nState:\t")
    state = status[place + 8 : place + 9].decode("ascii", "replace") if place >= 0 else "?"
    return Thread(tid, 0, "", state, "", (0, 0, 0, 0, *parse_switches(status), 0, 0))


def _read_thread_state(path: bytes, tid: int) -> Thread:
    # the name before it may hold parentheses and spaces itself
    state = slurp(path + b"stat").rpartition(b")")[2].split(None, 1)[:1]
    return Thread(tid, 0, "", state[0].decode("ascii", "replace") if state else "?", "", ())


def read_wchan(path: bytes) -> str:
    """Return where in the kernel the process or thread waits; empty if it does not, or that is hidden."""
    try:
        found = slurp(path + b"wchan").decode("ascii", "replace")
    except (PermissionError, FileNotFoundError):
        return ""
    return "" if found in ("0", "") else found


def swap_is_used(swaps: bytes) -> bool:
    """Given the bytes of `/proc/swaps`, say whether anything is swapped out at all."""
    return any(fields[3] != b"0" for fields in map(bytes.split, swaps.splitlines()[1:]) if len(fields) > 3)


def resident_bytes(pages: int) -> int:
    """Given pages, return bytes."""
    return pages * PAGE_BYTES
