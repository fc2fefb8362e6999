"""Reads one process again into its record, and no file more than is wanted of it.

Files are opened by path, which is cheaper than holding the folder; so `stat` is read last, and its start tells whether
all of it was still the same process.
"""

from __future__ import annotations

import math

from exporter.procfs.members import (
    Rights,
    Stat,
    Thread,
    count_open_files,
    parse_io,
    parse_resident_pages,
    parse_stat,
    parse_swapped_bytes,
    parse_switches,
    read_arguments,
    read_open_files_limit,
    read_threads,
    read_wchan,
    slurp,
)
from exporter.procfs.record import UNKNOWN, Record, Wanted
from exporter.procfs.taskstats import NONVOLUNTARY, READ_BYTES, RUN_NS, VOLUNTARY, WRITTEN_BYTES, Told

# arguments and limits can change without an exec: of so many readings one looks whether they did
_EVERY = 32
# soon after its start a process still becomes what it will be
_YOUNG = 3
_HIDDEN = b"0"
_UNTOLD = (UNKNOWN, UNKNOWN)


class Reader:
    """What all readings share."""

    def __init__(self, rights: Rights) -> None:
        self.wanted = Wanted()
        self.swap_is_used = True
        self.stacks_differ = True
        """Whether an exec shows by another place of the stack."""
        self.recheck_from_ticks = math.inf
        """Of processes that began later, arguments are read whenever they ran."""
        self.partial = 0
        """How often a part could not be read for want of rights, since the beginning."""
        self._rights = rights

    def refresh(self, record: Record, told: Told | None) -> bool:
        """Given a record, and what the kernel told of it if it did, bring it up to date.

        Return False if the pid is another process's by now. Raise OSError, one of GONE if it has ended, or ValueError;
        the record is then as it was.
        """
        path, member, old, wanted = record.path, record.member, record.stat, self.wanted
        due = self._is_due(record)
        storage, status = _UNTOLD, b""
        key = () if told is None else (told[READ_BYTES], told[WRITTEN_BYTES], record.clock - told[RUN_NS])
        if member:
            if self._is_unused(record, key) and not due:
                storage = record.counters[-2], record.counters[-1]
            else:
                storage = self._read_io(path)
            if told is None or self.swap_is_used:
                status = slurp(path + b"status", 4096)
        # without memory it is a thread of the kernel or a zombie, and has no files
        files = self._count_files(path) if (member or wanted.open_files) and old.virtual_bytes else 0
        # what is held is read with all others; newer kernels count exactly there, and not in `stat`
        pages = record.resident_pages
        if record.descriptor < 0:
            pages = parse_resident_pages(slurp(path + b"statm")) if old.virtual_bytes else 0
        rest = self._read_rest(record, old) if due else None
        stat = parse_stat(slurp(path + b"stat"))
        threads: list[Thread] = []
        if stat.threads > 1 and (member or wanted.thread_states):
            if old.threads == 1:
                # what was told is of the one thread that it had
                told, key, storage = None, (), self._read_io(path) if member else _UNTOLD
            threads = read_threads(path, member and told is None, member and wanted.threads)
        if rest is None and (stat.comm != old.comm or stat.stack != old.stack):
            # it has begun another program
            rest = self._read_rest(record, stat)
            stat = parse_stat(slurp(path + b"stat"))
        elif threads:
            stat = parse_stat(slurp(path + b"stat"))
        if stat.start_ticks != old.start_ticks:
            return False
        if rest is not None:
            if stat.comm != old.comm or rest[0] != record.arguments:
                record.version += 1
            record.arguments, record.limit = rest
        record.stat = stat
        record.resident_pages = pages if stat.virtual_bytes else 0
        record.open_files = files
        record.readings += 1
        if threads or record.thread_list or wanted.threads:
            self._note_threads(record, threads)
        record.thread_states = "".join([one.state for one in threads]) if threads else stat.state
        if member:
            record.storage = key
            record.swapped_bytes = parse_swapped_bytes(status) if status else 0
            record.counters = (
                stat.user_ticks, stat.system_ticks, stat.minor_faults, stat.major_faults,
                *_switches(told, threads, status), *storage,
            )  # fmt: skip
        return True

    def _is_unused(self, record: Record, key: tuple[int, ...]) -> bool:
        """Say whether the kernel told that nothing was read or written since the last time.

        Of the only thread that there is the same is told as then; and no other can have come and gone meanwhile,
        for all the time that the process was on a CPU since then was that thread's.
        """
        return record.storage == key != () and record.stat.threads == 1

    def _is_due(self, record: Record) -> bool:
        """Say whether it is time to look at what seldom changes and never tells that it did."""
        readings, stat = record.readings, record.stat
        return (
            readings < _YOUNG
            or (readings + record.pid) % _EVERY == 0
            or stat.stack == _HIDDEN
            or not self.stacks_differ
            # amid an exec there are none
            or not record.arguments
            or (record.member and not record.limit)
            or not self._rights.shows_ourselves
            or stat.start_ticks > self.recheck_from_ticks
        )

    def _read_rest(self, record: Record, stat: Stat) -> tuple[bytes, float]:
        """Return arguments and limit, which seldom change."""
        if not stat.virtual_bytes:
            return b"", record.limit
        arguments = read_arguments(record.path)
        if not record.member:
            return arguments, record.limit
        return arguments, read_open_files_limit(record.path, record.pid, self._rights)

    def _note_threads(self, record: Record, threads: list[Thread]) -> None:
        record.thread_list = tuple(threads) if self.wanted.threads else ()
        if self.wanted.threads and record.member:
            wchans = [one.wchan for one in threads] if threads else [read_wchan(record.path)]
            record.wchans = tuple(filter(None, wchans))

    def _read_io(self, path: bytes) -> tuple[int, int]:
        try:
            return parse_io(slurp(path + b"io"))
        except PermissionError:
            # the processes of other users, unless we are root
            self.partial += 1
        except FileNotFoundError:
            # a kernel without I/O accounting; if instead the process has ended, its stat says so
            pass
        return UNKNOWN, UNKNOWN

    def _count_files(self, path: bytes) -> int:
        try:
            return count_open_files(path, self._rights)
        except PermissionError:
            self.partial += 1
            return UNKNOWN


def _switches(told: Told | None, threads: list[Thread], status: bytes) -> tuple[int, int]:
    """Return context switches, of all threads together: as told, or as each thread says, or its status if it is one."""
    if told is not None:
        return told[VOLUNTARY], told[NONVOLUNTARY]
    if threads:
        return sum([one.counters[4] for one in threads]), sum([one.counters[5] for one in threads])
    return parse_switches(status)
