"""The resident memory of processes: `statm` held open under a cap, the rest opened each time.

Each held file pins about 4 KiB in the kernel and one descriptor here; opening costs several times the reading.
"""

from __future__ import annotations

import os
import weakref
from bisect import bisect_left, insort
from itertools import compress, repeat

from exporter.procfs.members import parse_resident_pages, slurp
from exporter.procfs.record import Record

try:
    import fcntl
    import resource
except ImportError:
    # Windows: this is imported there for the sake of the flags, and never called
    pass

# enough for the first two numbers of `statm`, which is all that is compared and read of it
_READ_BYTES = 40
# descriptors that everything else of the exporter may need
_RESERVE = 512
# of those that are not held, and did not run, every look reads one in so many
_TURNS = 4
# ours stand above this, so that low numbers stay free for code that can use no others
_FLOOR = 1024


class Residents:
    """The processes in the order in which they were laid out, and what `statm` said of each."""

    def __init__(self, most: int) -> None:
        # sorted; a set of numbers takes eight times the memory
        self._held: list[int] = []
        limit = _raised_limit(most + _FLOOR + _RESERVE)
        self._floor = _FLOOR if limit >= most + _FLOOR + _RESERVE else 0
        self._room = min(most, limit - _RESERVE)
        self._finalizer = weakref.finalize(self, _close_all, self._held)
        self._order: list[Record] = []
        self._descriptors: list[int] = []
        self._keeps: list[bool] = []
        self._statms: list[bytes] = []
        self._loose: list[int] = []
        self._turn = 0
        self._ended: list[Record] = []

    @property
    def held(self) -> int:
        """How many descriptors are held open."""
        return len(self._held)

    def close(self) -> None:
        """Give all descriptors back."""
        self._finalizer()

    def release(self, record: Record) -> None:
        """Give back what is held of one that has ended."""
        if record.descriptor >= 0:
            del self._held[bisect_left(self._held, record.descriptor)]
            os.close(record.descriptor)
            record.descriptor = -1

    def arrange(self, order: list[Record]) -> None:
        """Lay the records out side by side, for one call over all of them."""
        self._order = order
        self._descriptors = [record.descriptor for record in order]
        self._keeps = [descriptor >= 0 for descriptor in self._descriptors]
        self._statms = [record.statm for record in order]
        # kernel threads have no memory, zombies no more
        self._loose = [
            index for index, record in enumerate(order) if record.descriptor < 0 and record.stat.virtual_bytes
        ]

    def read(self, moved: list[bool]) -> tuple[list[Record], list[Record]]:
        """Given who ran, bring the memory of all up to date that are held, and of others that did not run.

        Return those of whom it changed, and those who have ended.
        """
        changed: list[Record] = []
        self._ended = []
        held = list(compress(self._descriptors, self._keeps))
        try:
            new = list(map(os.pread, held, repeat(_READ_BYTES), repeat(0)))
        except OSError:
            # one of them has just ended
            new = list(map(_read_held, held))
        if new != list(compress(self._statms, self._keeps)):
            for index, data in zip(list(compress(range(len(self._keeps)), self._keeps)), new, strict=True):
                if data != self._statms[index]:
                    self._note(index, data, changed)
        if self._loose:
            self._read_loose(moved, changed)
        return changed, self._ended

    def _read_loose(self, moved: list[bool], changed: list[Record]) -> None:
        """Read those that are not held: hold them while there is room, else one in four, in turn."""
        self._turn += 1
        left = []
        for place, index in enumerate(self._loose):
            record = self._order[index]
            if moved[index]:
                left.append(index)
                continue
            try:
                if len(self._held) < self._room:
                    record.descriptor = self._descriptors[index] = self._open(record.path)
                    self._keeps[index] = True
                    self._note(index, os.pread(record.descriptor, _READ_BYTES, 0), changed)
                    continue
                if (place + self._turn) % _TURNS == 0:
                    self._note(index, slurp(record.path + b"statm"), changed)
            except OSError:
                # it has ended: the next look will not list it
                pass
            left.append(index)
        self._loose = left

    def _open(self, path: bytes) -> int:
        descriptor = os.open(path + b"statm", os.O_RDONLY | os.O_CLOEXEC)
        if self._floor:
            low = descriptor
            try:
                descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, self._floor)
            finally:
                os.close(low)
        insort(self._held, descriptor)
        return descriptor

    def _note(self, index: int, statm: bytes, changed: list[Record]) -> None:
        record = self._order[index]
        self._statms[index] = record.statm = statm
        try:
            pages = parse_resident_pages(statm)
        except ValueError:
            # nothing could be read: it has ended, whoever has its pid now
            self._ended.append(record)
            return
        if pages != record.resident_pages:
            record.resident_pages = pages
            changed.append(record)


def _read_held(descriptor: int) -> bytes:
    try:
        return os.pread(descriptor, _READ_BYTES, 0)
    except OSError:
        return b""


def _close_all(descriptors: list[int]) -> None:
    while descriptors:
        os.close(descriptors.pop())


def _raised_limit(wanted: int) -> int:
    """Raise our own soft limit of open files as far as needed and allowed; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        except (OSError, ValueError):
            # a sandbox forbids it: what there is must do
            return soft
        return target
    return soft
