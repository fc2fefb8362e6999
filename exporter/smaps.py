"""Proportional memory out of `smaps_rollup`, which the kernel computes page by page while the process's memory waits.

So it is read only when asked for, never of processes beyond a size, and of no more in one scrape than a budget lets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.procfs.members import parse_proportional, resident_bytes, slurp
from exporter.procfs.record import Record
from selfheal.common.clock import Clock
from selfheal.common.procfs import GONE


@dataclass(frozen=True, slots=True)
class Budget:
    """How long the readings of one scrape may take together, and how large a process may be."""

    seconds: float = 0.1
    largest_bytes: int = 4 << 30


class Proportions:
    """The proportional memory of members, as it was when each was last read."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self._budget = budget
        self._clock = clock
        # in the order of their last reading, the oldest first
        self._found: dict[int, tuple[Record, tuple[int, int]]] = {}
        self.skipped = 0
        """How many members were too large, or not read for want of time or rights, in the last scrape."""

    def update(self, members: Mapping[int, Record]) -> None:
        """Given all members, read as many as the budget lets: new ones first, then those read longest ago."""
        known = {pid: pair for pid, pair in self._found.items() if members.get(pid) is pair[0]}
        fresh = [record for pid, record in members.items() if pid not in known]
        waiting = [*fresh, *(pair[0] for pair in known.values())]
        end = self._clock.monotonic() + self._budget.seconds
        self.skipped = 0
        self._found = known
        for place, record in enumerate(waiting):
            if self._clock.monotonic() > end:
                self.skipped += len(waiting) - place
                break
            known.pop(record.pid, None)
            self._read(record)

    def of(self, record: Record) -> tuple[int, int]:
        """Return a member's share of memory and of swap, in bytes; zeros if it was not read."""
        found = self._found.get(record.pid)
        return (0, 0) if found is None or found[0] is not record else found[1]

    def _read(self, record: Record) -> None:
        if resident_bytes(record.resident_pages) > self._budget.largest_bytes:
            self.skipped += 1
            return
        try:
            self._found[record.pid] = record, parse_proportional(slurp(record.path + b"smaps_rollup"))
        except GONE:
            # it has ended, or is a thread of the kernel
            return
        except OSError:
            self.skipped += 1
