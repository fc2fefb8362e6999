"""The rows that wait, as the engine knows them: what is due when, and in which order the ready ones go.

Only values and heaps: no thread, no lock and no clock live here. Whoever holds a queue locks it.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from remediator.store import Due

logger = logging.getLogger(__name__)

AGEING = 10.0
"""Seconds of waiting that outweigh one step of priority."""


@dataclass(slots=True)
class Row:
    """A work row as the engine knows it; `token` marks its one valid entry in the heaps.

    A storm makes tens of thousands of these at once, so whatever is held per row is counted in bytes.
    """

    kind: str
    id: int
    due: float
    priority: int
    generation: int
    token: int = 0
    ready_since: float = 0.0
    """On the monotonic clock."""
    ready: bool = False
    running: bool = False
    again: bool = False
    """Made due by somebody else while it ran."""
    gone: bool = False
    """Deleted while it ran."""
    thread: int = 0
    failures: int = 0


class Queue:
    """The rows of the given kinds: those that wait by their time, those that are ready by their order."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._rows: dict[str, dict[int, Row]] = {kind: {} for kind in kinds}
        self._waiting: list[tuple[float, int, Row]] = []
        self._ready: list[tuple[float, int, Row]] = []
        self._tokens = itertools.count(1)
        self.ready = 0
        """How many rows are due and have not begun."""

    def known(self) -> Iterator[Row]:
        """Yield every row."""
        return itertools.chain.from_iterable(rows.values() for rows in self._rows.values())

    def learn(self, due: Due, now: float) -> Row | None:
        """Given what a commit did to a row, return the row if it is to be put where its time says."""
        rows = self._rows.get(due.kind)
        if rows is None:
            if not due.gone:
                logger.error("work without a handler", extra={"kind": due.kind, "row": due.id})
            return None
        row = rows.get(due.id)
        if row is not None and due.generation <= row.generation:
            return None
        if due.gone:
            self._forget(row, due.generation)
            return None
        if row is None:
            kind = sys.intern(due.kind)
            row = rows[due.id] = Row(kind, due.id, due.due, due.priority, due.generation)
        row.due, row.priority, row.generation, row.gone = due.due, due.priority, due.generation, False
        if not row.running:
            return row
        if due.by != row.thread and due.due <= now:
            row.again = True
        return None

    def _forget(self, row: Row | None, generation: int) -> None:
        if row is None:
            return
        if row.running:
            row.generation, row.gone, row.again = generation, True, False
            return
        self._unready(row)
        self.drop(row)

    def drop(self, row: Row) -> None:
        """Know a row no more."""
        # its entry in the heaps is not valid any more
        row.token = 0
        del self._rows[row.kind][row.id]

    def put(self, row: Row, now: float, monotonic: float) -> None:
        """Put a row where its due time says: ready from `monotonic` on, or waiting."""
        self._unready(row)
        row.token = next(self._tokens)
        if row.due > now:
            heapq.heappush(self._waiting, (row.due, row.token, row))
            return
        row.ready = True
        self.ready += 1
        # waiting counts for every row alike, so the order between two never changes: the key can be fixed here
        order = row.due - row.priority * AGEING
        row.ready_since = monotonic
        heapq.heappush(self._ready, (order, row.token, row))

    def is_next(self, row: Row) -> bool:
        """Say whether `row` is the first of those that wait."""
        return bool(self._waiting) and self._waiting[0][1] == row.token

    def next_waiting(self) -> Row | None:
        """Return the first row that waits, or None."""
        while self._waiting:
            _, token, row = self._waiting[0]
            if row.token == token:
                return row
            heapq.heappop(self._waiting)
        return None

    def take(self) -> Row | None:
        """Take the first ready row out, or return None."""
        while self._ready:
            _, token, row = heapq.heappop(self._ready)
            if row.token == token:
                self._unready(row)
                return row
        return None

    def first_ready_since(self) -> float | None:
        """Return since when, on the monotonic clock, the row at the head is ready; None if there is none."""
        return self._ready[0][2].ready_since if self._ready else None

    def pull(self, seconds: float) -> None:
        """Move the time of every row by `seconds`."""
        self._waiting = []
        for row in self.known():
            row.due += seconds
            if not row.running and not row.ready:
                row.token = next(self._tokens)
                self._waiting.append((row.due, row.token, row))
        heapq.heapify(self._waiting)

    def _unready(self, row: Row) -> None:
        if row.ready:
            row.ready = False
            self.ready -= 1
