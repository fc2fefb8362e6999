"""Every process of this host, look after look; read again only when it has run since the last one.

A process whose CPU clock has not moved has not executed, so its counters, descriptors, threads, name and arguments
are what they were; only its memory (reclaim) and its parent (when that ended) can have changed.
"""

from __future__ import annotations

import math
import os
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import ne
from pathlib import Path

from exporter.procfs.members import Rights, parse_stat, parse_swapped_bytes, read_arguments, slurp, swap_is_used
from exporter.procfs.reader import Reader
from exporter.procfs.record import Record, Wanted
from exporter.procfs.residents import Residents
from selfheal.common.procfs import GONE, TICKS_PER_SECOND

# what the kernel tells of a process and its files are read while the processor still has both at hand
_TOGETHER = 48


@dataclass(slots=True)
class Look:
    """What one look found: who came, who was read again, whose memory alone changed, who went.

    In `broken` are those that are there and could not be read; they are tried again at every look.
    """

    born: list[Record] = field(default_factory=list)
    changed: list[Record] = field(default_factory=list)
    resized: list[Record] = field(default_factory=list)
    gone: list[Record] = field(default_factory=list)
    broken: list[Record] = field(default_factory=list)
    unreadable: int = 0
    partial: int = 0


class ProcessTable:
    """The processes below one procfs, looked at again and again."""

    def __init__(self, procfs: Path, wanted: Wanted | None = None) -> None:
        self.records: dict[int, Record] = {}
        self.zombies: set[int] = set()
        self._rights = Rights(procfs)
        self._reader = Reader(self._rights)
        self._reader.wanted = wanted or Wanted()
        self._residents: Residents | None = None
        self._procfs = os.fsencode(procfs)
        self._look = Look()
        # these are read again whether they ran or not: they are broken, or their parent may have changed
        self._again: set[int] = set()
        self._ended: set[int] = set()
        self._unclocked = 0
        self._vacant: list[int] = []
        self._has_listed = False
        self._last_pid = b""
        self._load: int | None = None
        if self._rights.shows_ourselves:
            self._load = os.open(procfs / "loadavg", os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._load)
        self._order: list[Record] = []
        self._ids: list[int] = []
        self._clocks: list[int] = []
        self._is_arranged = False

    @property
    def wanted(self) -> Wanted:
        """What is read of each process."""
        return self._reader.wanted

    @wanted.setter
    def wanted(self, wanted: Wanted) -> None:
        if wanted != self._reader.wanted:
            self._reader.wanted = wanted
            # what was not wanted so far has to be read of all
            self._again.update(self.records)

    def close(self) -> None:
        """Give all descriptors back; a later look opens them again."""
        if self._residents is not None:
            self._residents.close()
            self._residents = None
            for record in self.records.values():
                record.descriptor = -1
            self._is_arranged = False

    def look(self) -> Look:
        """Look at all processes as they are now. Raise OSError if procfs itself cannot be listed.

        Of those born only name and parent are known: `complete` reads the rest, once it is known who is a member.
        """
        look = self._look = Look()
        partial = self._reader.partial
        born = self._list() if self._may_have_forked() else []
        self._reader.swap_is_used = self._swap_is_used()
        self._reader.recheck_from_ticks = self._recheck_from_ticks()
        again, self._again = self._again & self.records.keys(), set()
        ran = self._run(again)
        if ran is None:
            # who ended, perhaps at this moment, is told by the listing
            born += self._list()
            ran = self._run(again)
        look.changed = self._read(ran or [])
        new = sorted({*born, *self._vacant} - self.records.keys())
        self._vacant.clear()
        look.born = [record for pid in new if (record := self._meet(pid)) is not None]
        self._read_orphans()
        look.partial = self._reader.partial - partial
        return look

    def complete(self, records: Iterable[Record]) -> None:
        """Read what is wanted of the born, and of those that have become members since they were read.

        One that has ended meanwhile is added to `gone` of the present look, one that cannot be read to `broken`.
        """
        partial = self._reader.partial
        self._read(list(records))
        self._look.partial += self._reader.partial - partial

    def _may_have_forked(self) -> bool:
        """Say whether there can be new processes: without a new pid since the last listing there are none."""
        before, self._last_pid = self._last_pid, b""
        self._has_listed = False
        if self._load is None:
            return True
        try:
            # the pid given last stands at the end; it is the same again by chance once in all pids
            self._last_pid = os.pread(self._load, 128, 0).rpartition(b" ")[2]
        except OSError:
            return True
        return self._last_pid != before

    def _list(self) -> list[int]:
        """Take out those that are listed no more; return the pids that are new."""
        names = os.listdir(self._procfs)  # noqa: PTH208
        pids = set(map(int, filter(bytes.isdigit, names)))
        self._has_listed = True
        # who changes this is hardly ever a process that is known already
        self._reader.stacks_differ = self._rights.stacks_differ()
        for pid in self.records.keys() - pids:
            self._drop(pid)
        return list(pids - self.records.keys())

    def _run(self, again: set[int]) -> list[Record] | None:
        """Return those that ran since the last look, or must be read in any case, and read the memory of all.

        Return None if somebody has ended who was not listed anew.
        """
        self._arrange()
        if not self._rights.shows_ourselves:
            return self._order
        try:
            now = list(map(time.clock_gettime_ns, self._ids))
        except OSError:
            # one of them has been reaped
            if not self._has_listed:
                return None
            now = list(map(self._clock, self._ids))
        moved = list(map(ne, now, self._clocks))
        self._clocks = now
        if again:
            moved = [ran or record.pid in again for ran, record in zip(moved, self._order, strict=True)]
        for record, clock in zip(compress(self._order, moved), compress(now, moved), strict=True):
            record.clock = clock
        if self._residents is not None:
            self._look.resized, ended = self._residents.read(moved)
            self._again.update([record.pid for record in ended])
            if self._reader.swap_is_used:
                self._look.resized = [record for record in self._look.resized if self._reread_swap(record)]
        return list(compress(self._order, moved))

    def _arrange(self) -> None:
        if self._is_arranged:
            return
        self._is_arranged = True
        self._order = list(self.records.values())
        if self._rights.shows_ourselves:
            self._ids = [record.clock_id for record in self._order]
            self._clocks = [record.clock for record in self._order]
            if self._residents is None:
                self._residents = Residents(self.wanted.held)
            self._residents.arrange(self._order)

    def _read(self, records: Sequence[Record]) -> list[Record]:
        """Read these processes; return those that are there and could be read."""
        found: list[Record] = []
        for begin in range(0, len(records), _TOGETHER):
            found += self._read_some(records[begin : begin + _TOGETHER])
        return found

    def _read_some(self, records: Sequence[Record]) -> list[Record]:
        members = [record for record in records if record.member]
        told = self._rights.ask(
            [record.pid for record in members if record.stat.threads == 1],
            [record.pid for record in members if record.stat.threads > 1],
        )
        refresh = self._reader.refresh
        found = []
        for record in records:
            had_memory = bool(record.stat.virtual_bytes)
            try:
                same = refresh(record, told.get(record.pid))
            except GONE:
                same = False
            except (OSError, ValueError):
                self._break(record)
                continue
            if not same:
                # its pid may be another's by now, who is then met in its place
                self._vacant.append(record.pid)
                self._last_pid = b""
                self._drop(record.pid)
                continue
            record.unreadable = False
            if bool(record.stat.virtual_bytes) != had_memory or record.stat.state in "ZX":
                # it becomes a zombie some time after its memory has gone
                self._note_end(record)
            stat = record.stat
            # of one on a CPU the clock moves at the next tick of that CPU only
            if stat.state == "R" or (stat.ppid not in self.records and stat.ppid):
                self._again.add(record.pid)
            found.append(record)
        return found

    def _break(self, record: Record) -> None:
        self._look.unreadable += 1
        self._look.broken.append(record)
        record.unreadable = True
        self._again.add(record.pid)

    def _note_end(self, record: Record) -> None:
        """Note that a process has no memory any more, or that it has some for the first time."""
        self._is_arranged = False
        if record.is_zombie and record.pid not in self.zombies:
            self.zombies.add(record.pid)
            self._ended.add(record.pid)
        if self._residents is not None:
            self._residents.release(record)

    def _drop(self, pid: int) -> None:
        record = self.records.pop(pid, None)
        if record is None:
            return
        self._is_arranged = False
        self._ended.add(pid)
        self.zombies.discard(pid)
        if self._residents is not None:
            self._residents.release(record)
        self._look.gone.append(record)

    def _meet(self, pid: int) -> Record | None:
        """Return a new process, or None if it has ended already or cannot be read."""
        path = self._procfs + b"/%d/" % pid
        # the clock first: what runs between the two readings then shows as a clock that moved
        clock = self._clock((~pid << 3) | 2) if self._rights.shows_ourselves else 0
        try:
            stat = parse_stat(slurp(path + b"stat"))
            record = Record(pid, path, stat, clock)
            if stat.virtual_bytes:
                record.arguments = read_arguments(path)
        except GONE:
            return None
        except (OSError, ValueError):
            # it is tried again, as if it were new
            self._look.unreadable += 1
            self._last_pid = b""
            return None
        self.records[pid] = record
        self._is_arranged = False
        if record.is_zombie:
            self.zombies.add(pid)
        return record

    def _read_orphans(self) -> None:
        """Read again those whose parent has ended: their parent is another now, although they need not have run."""
        ended, self._ended = self._ended, set()
        if ended and self._rights.shows_ourselves:
            orphans = [record for record in self.records.values() if record.stat.ppid in ended]
            known = set(map(id, self._look.born))
            self._look.changed += self._read([record for record in orphans if id(record) not in known])
        for record in self._look.born:
            if record.stat.ppid and record.stat.ppid not in self.records:
                self._again.add(record.pid)

    def _reread_swap(self, record: Record) -> bool:
        if record.member:
            try:
                record.swapped_bytes = parse_swapped_bytes(slurp(record.path + b"status", 4096))
            except OSError:
                # it has ended: the next look will not list it
                pass
        return True

    def _swap_is_used(self) -> bool:
        try:
            return swap_is_used(slurp(self._procfs + b"/swaps"))
        except OSError:
            # a living kernel without it has no swap at all; a written tree may tell all the same
            return not self._rights.shows_ourselves

    def _recheck_from_ticks(self) -> float:
        seconds = self.wanted.recheck_seconds
        if seconds <= 0 or math.isinf(seconds):
            return -seconds or math.inf
        return (float(slurp(self._procfs + b"/uptime").split()[0]) - seconds) * TICKS_PER_SECOND

    def _clock(self, clock_id: int) -> int:
        try:
            return time.clock_gettime_ns(clock_id)
        except OSError:
            # no clock shows such a time, and none twice: it counts as moved
            self._unclocked -= 1
            return self._unclocked
