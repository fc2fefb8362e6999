"""Totals of groups that only ever grow: what members used since they were first seen, kept when they end."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from exporter.procfs.members import Counters

Identity = tuple[int, int]
"""A pid and its start in ticks."""

_NOTHING = Counters(0, 0, 0, 0, 0, 0, 0, 0)


class Accounts:
    """One total per group, and the last counters of every living process that was ever a member.

    Totals are whole numbers in the kernel's units: ticks stay ticks, so that sums never drift.
    """

    def __init__(self, born_after_ticks: int) -> None:
        self._born_after = born_after_ticks
        self._seen: dict[int, tuple[int, Counters]] = {}
        self._totals: dict[str, list[int]] = {}

    def groups(self) -> list[str]:
        """Return the groups that have a total."""
        return list(self._totals)

    def total(self, group: str) -> list[int]:
        """Return the total of a group, in the order of `Counters`; zeros if it is new."""
        return self._totals.setdefault(group, [0] * len(_NOTHING))

    def forget(self, group: str) -> None:
        """Forget the total of a group that is exported no more."""
        self._totals.pop(group, None)

    def update(self, members: Iterable[tuple[str, Identity, Counters]], pids: AbstractSet[int]) -> None:
        """Given the members and all pids now, add to each group what its members used since they were last seen.

        A process that is older than we are has nothing to add at first sight; one born since adds all it used.
        A counter that cannot be read, or that fell because a thread ended, adds nothing.
        """
        for group, (pid, start), counters in members:
            seen_start, last = self._seen.get(pid, (None, _NOTHING))
            if seen_start != start:
                last = _NOTHING if start > self._born_after else counters
            total = self.total(group)
            if last is not counters:
                _add(total, counters, last)
            self._seen[pid] = start, counters
        for pid in self._seen.keys() - pids:
            del self._seen[pid]


def _add(total: list[int], now: Counters, last: Counters) -> None:
    for index, (new, old) in enumerate(zip(now, last, strict=True)):
        if new is not None and old is not None and new > old:
            total[index] += new - old
