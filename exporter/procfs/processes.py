"""Every process, read again only when it has run since the last look; groups' members in full detail.

A process whose CPU clock has not moved has not executed, so its counters, descriptors, threads, name and arguments
are what they were; only its memory (reclaim) and its parent (when that ended) can have changed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from exporter.procfs.members import Details, MemberReader, swapped_bytes
from selfheal.common.processes import Grouping, Process, nearest_groups
from selfheal.common.procfs import (
    GONE,
    ProcessFolder,
    Stat,
    list_pids,
    parse_argv,
    parse_effective_uid,
    parse_resident_bytes,
    parse_stat,
)


@dataclass(slots=True)
class Record:
    """One process between two looks; replaced when it ran, kept and its memory brought up to date when it did not."""

    pid: int
    clock_ns: int | None
    stat: Stat
    arguments: bytes
    own_group: str | None
    resident_bytes: int = 0
    details: Details | None = None

    @property
    def identity(self) -> tuple[int, int]:
        """The pid and the start: no other process of this boot has both."""
        return self.pid, self.stat.start_ticks

    @property
    def is_zombie(self) -> bool:
        """Say whether it has ended and waits for its parent."""
        return self.stat.state in ("Z", "X") and self.stat.threads <= 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All processes of one look and the group of each that has one; of the members alone `details` are set.

    `pids` are all that were listed, those included that could not be read.
    """

    records: dict[int, Record]
    groups: dict[int, str]
    pids: frozenset[int]
    unreadable: int
    partial: int


class ProcessTable:
    """The processes below one procfs, looked at again and again."""

    def __init__(self, procfs: Path, grouping: Grouping) -> None:
        self._procfs = procfs
        self._grouping = grouping
        self._records: dict[int, Record] = {}
        self._members = MemberReader(procfs)
        self._unreadable = 0

    def look(self) -> Snapshot:
        """Return all processes as they are now. Raise OSError if procfs itself cannot be listed."""
        self._unreadable, partial = 0, self._members.partial
        known = self._records
        records: dict[int, Record] = {}
        kept: list[Record] = []
        pids = list_pids(self._procfs)
        for pid in pids:
            old = known.get(pid)
            if old is not None and not self._ran(old):
                records[pid] = old
                kept.append(old)
            else:
                self._read_into(records, pid, old)
        for old in kept:
            if _lost_parent(old, records):
                del records[old.pid]
                self._read_into(records, old.pid, old)
        self._records = records
        own = {pid: None if record.is_zombie else record.own_group for pid, record in records.items()}
        groups = nearest_groups(own, {pid: record.stat.ppid for pid, record in records.items()})
        for pid in [pid for pid in groups if not records[pid].is_zombie]:
            self._complete(records, pid)
        return Snapshot(records, groups, frozenset(pids), self._unreadable, self._members.partial - partial)

    def _ran(self, record: Record) -> bool:
        return record.clock_ns is None or record.clock_ns != self._clock(record.pid)

    def _clock(self, pid: int) -> int | None:
        if not self._members.shows_ourselves:
            return None
        try:
            # the CPU clock of a whole other process: clock_getcpuclockid(3) without its library call
            return time.clock_gettime_ns((~pid << 3) | 2)
        except OSError:
            return None

    def _read_into(self, records: dict[int, Record], pid: int, old: Record | None) -> None:
        try:
            records[pid] = self._read(pid, old)
        except GONE:
            # it ended between the listing and now: as if it had not been listed
            pass
        except (OSError, ValueError):
            self._unreadable += 1

    def _read(self, pid: int, old: Record | None) -> Record:
        # the clock first: what runs between the two reads then shows as a clock that moved
        clock = self._clock(pid)
        with ProcessFolder(self._procfs, pid) as folder:
            stat = parse_stat(folder.read("stat"))
            # without memory there are no arguments: kernel threads and zombies
            arguments = folder.read("cmdline") if stat.virtual_bytes else b""
            if (
                old is not None
                and not self._grouping.uses_user
                and old.stat.start_ticks == stat.start_ticks
                and old.arguments == arguments
                and old.stat.comm == stat.comm
            ):
                group = old.own_group
            else:
                group = self._match(folder, pid, stat, arguments)
        return Record(pid, clock, stat, arguments, group)

    def _match(self, folder: ProcessFolder, pid: int, stat: Stat, arguments: bytes) -> str | None:
        argv = parse_argv(arguments)
        uid = parse_effective_uid(folder.read("status")) if self._grouping.uses_user else 0
        exe = (argv[0] if argv else "") or stat.comm
        return self._grouping.group_of(
            Process(pid, stat.start_ticks, uid, stat.ppid, stat.comm, argv, exe, stat.state, 0, 0, stat.threads)
        )

    def _statm(self, pid: int) -> int:
        # without holding the folder, which costs as much again: the clock has just shown that the process lives
        descriptor = os.open(f"{self._procfs}/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return parse_resident_bytes(os.read(descriptor, 256))
        finally:
            os.close(descriptor)

    def _complete(self, records: dict[int, Record], pid: int) -> None:
        """Bring a member's memory and details up to date; forget it if it has ended."""
        record = records[pid]
        try:
            if record.details is not None and self._statm(pid) == record.resident_bytes:
                return
            with ProcessFolder(self._procfs, pid) as folder:
                resident = parse_resident_bytes(folder.read("statm"))
                if record.details is None:
                    record.details = self._members.read(folder, pid, record.stat)
                elif resident != record.resident_bytes:
                    record.details.swapped_bytes = swapped_bytes(folder.read("status"))
                record.resident_bytes = resident
        except GONE:
            del records[pid]
        except (OSError, ValueError):
            self._unreadable += 1
            del records[pid]


def _lost_parent(record: Record, records: dict[int, Record]) -> bool:
    parent = records.get(record.stat.ppid)
    if parent is None:
        return record.stat.ppid != 0
    # nobody's parent is younger, unless its pid was taken by another
    return parent.is_zombie or parent.stat.start_ticks > record.stat.start_ticks
