"""Processes by name alone, and the few names of them that use most: without any configuration, and bounded.

Which names used most CPU lately is told by scores that halve every few minutes; the counter itself never falls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest

from exporter.procfs.processes import Look
from exporter.procfs.record import Record

_HALF_LIFE_SECONDS = 300.0
# beyond so many names without a process, the least used are forgotten
_MOST_EMPTY = 500
# growing weights, that only their ratios matter, begin anew before a float runs out
_MOST_WEIGHT = 2.0**500
_KTHREADD = 2


class Name:
    """All processes that bear one name."""

    __slots__ = ("files", "name", "pages", "processes", "score", "ticks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.processes = 0
        self.ticks = 0
        self.pages = 0
        self.files = 0
        self.score = 0.0


class _Share:
    """What one process has added to its name."""

    __slots__ = ("files", "name", "pages", "record", "ticks", "version")

    def __init__(self, record: Record, name: Name, ticks: int) -> None:
        self.record = record
        self.name = name
        self.ticks = ticks
        self.pages = 0
        self.files = 0
        self.version = record.version


class Tops:
    """All names, brought up to date look by look."""

    def __init__(self, born_after_ticks: int) -> None:
        self._born_after = born_after_ticks
        self._names: dict[str, Name] = {}
        self._shares: dict[int, _Share] = {}
        self._weight = 1.0
        self._weighed_at: float | None = None

    def update(self, look: Look, now: float) -> None:
        """Given a look and the monotonic time, move what has changed."""
        self._age(now)
        for record in look.gone:
            self._remove(record)
        for record in look.born:
            if not record.unreadable and record.readings:
                self._enter(record)
        for records in (look.changed, look.resized):
            for record in records:
                self._move(record)
        if len(self._names) > _MOST_EMPTY:
            self._forget()

    def by_cpu(self, most: int) -> list[Name]:
        """Return the names that used most CPU lately, the most first; of equals the first by name."""
        return _first(most, self._names.values(), lambda one: one.score)

    def by_memory(self, most: int) -> list[Name]:
        """Return the names with most resident memory now."""
        return _first(most, self._names.values(), lambda one: one.pages)

    def by_files(self, most: int) -> list[Name]:
        """Return the names with most open files now."""
        return _first(most, self._names.values(), lambda one: one.files)

    def _age(self, now: float) -> None:
        # instead of shrinking every score with time, what comes later weighs more
        if self._weighed_at is not None:
            self._weight *= 2.0 ** min(400.0, (now - self._weighed_at) / _HALF_LIFE_SECONDS)
        self._weighed_at = now
        if self._weight > _MOST_WEIGHT:
            for one in self._names.values():
                one.score /= self._weight
            self._weight = 1.0

    def _enter(self, record: Record) -> None:
        stat = record.stat
        before = 0 if stat.start_ticks > self._born_after else stat.user_ticks + stat.system_ticks
        share = self._shares[record.pid] = _Share(record, self._named(record), before)
        share.name.processes += 1
        self._move(record)

    def _move(self, record: Record) -> None:
        share, stat = self._shares.get(record.pid), record.stat
        if share is None or share.record is not record:
            return
        if share.version != record.version:
            self._rename(record, share)
        name = share.name
        ticks = stat.user_ticks + stat.system_ticks
        if ticks > share.ticks:
            name.ticks += ticks - share.ticks
            name.score += (ticks - share.ticks) * self._weight
            share.ticks = ticks
        if record.resident_pages != share.pages:
            name.pages += record.resident_pages - share.pages
            share.pages = record.resident_pages
        files = max(record.open_files, 0)
        if files != share.files:
            name.files += files - share.files
            share.files = files

    def _rename(self, record: Record, share: _Share) -> None:
        share.version = record.version
        name = self._named(record)
        if name is not share.name:
            self._leave(share)
            name.processes += 1
            name.pages += share.pages
            name.files += share.files
            share.name = name

    def _remove(self, record: Record) -> None:
        share = self._shares.get(record.pid)
        if share is not None and share.record is record:
            self._leave(share)
            del self._shares[record.pid]

    def _leave(self, share: _Share) -> None:
        name = share.name
        name.processes -= 1
        name.pages -= share.pages
        name.files -= share.files

    def _named(self, record: Record) -> Name:
        text = record.comm
        if record.stat.ppid == _KTHREADD and not record.stat.virtual_bytes:
            # threads of the kernel bear the number of their CPU or their present work after it
            text = text.partition("/")[0]
        found = self._names.get(text)
        if found is None:
            found = self._names[text] = Name(text)
        return found

    def _forget(self) -> None:
        empty = [one for one in self._names.values() if not one.processes]
        empty.sort(key=lambda one: (one.score, one.name))
        for one in empty[: max(0, len(empty) - _MOST_EMPTY)]:
            del self._names[one.name]


def _first(most: int, names: Iterable[Name], value: Callable[[Name], float]) -> list[Name]:
    return nsmallest(most, (one for one in names if value(one) > 0), key=lambda one: (-value(one), one.name))
