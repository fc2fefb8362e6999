"""Work rows of the simulated store in the order in which they come due: the engine's heap without threads."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from remediator.store import Due

KINDS = frozenset({"occurrence", "remediation"})
"""Rows that are worked on; what is done at set times in the daemon does not concern decisions."""


class Queue:
    """Rows by due time; among equals the oldest: when it was last written is chance."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, int], tuple[float, int]] = {}
        self._heap: list[tuple[float, str, int, int]] = []
        self._written = 0
        self._furthest = (-math.inf, "", 0)

    def learn(self, changed: Iterable[Due]) -> None:
        """Take in what a commit did to work rows."""
        for due in changed:
            if due.kind not in KINDS:
                continue
            if due.gone:
                self._rows.pop((due.kind, due.id), None)
            else:
                self.put(due.kind, due.id, due.due)

    def put(self, kind: str, id: int, due: float) -> None:
        """Let a row be due then, whatever the store says."""
        self._written += 1
        self._rows[kind, id] = (due, self._written)
        heapq.heappush(self._heap, (due, kind, id, self._written))

    def due_of(self, kind: str, id: int) -> tuple[float, int] | None:
        """Return when a row is due and when it was written, as a number that rises; None if there is none."""
        return self._rows.get((kind, id))

    def next_due(self) -> float:
        """Return when the first row is due; infinity without any."""
        while self._heap:
            due, kind, id, written = self._heap[0]
            if self._rows.get((kind, id)) == (due, written):
                return due
            heapq.heappop(self._heap)
        return math.inf

    def first(self) -> tuple[str, int]:
        """Return the first row, which stays. There must be one."""
        self.next_due()
        due, kind, id, _ = self._heap[0]
        self._furthest = max(self._furthest, (due, kind, id))
        return kind, id

    def past(self, kind: str, id: int, due: float) -> bool:
        """Say whether a row that had been due then would have had its turn by now: order decides among equals."""
        return (due, kind, id) < self._furthest
