"""When alerts of which instances began: asked to tell a fault of the monitoring from faults of what is monitored."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from remediator.store.rows import Rows

LONGEST_INSTANCE = 256
"""Characters of an instance that are told apart: a longer one is somebody's joke."""


@dataclass(frozen=True, slots=True)
class Begun:
    """That an alert of an instance began within a second (since the epoch)."""

    second: int
    instance: str


class BurstReads(Rows):
    """Reading occurrences by when they began: the alert's own start, or its delivery if that was earlier."""

    def begun(self, closed_since: float) -> list[Begun]:
        """Return what began of all that is open, and of what began and closed since then; each once."""
        rows = self._all("begun_and_open") + self._all("begun_and_closed", since=closed_since)
        return [_begun(row) for row in rows]

    def begun_after(self, id: int) -> list[Begun]:
        """Return what began of the occurrences stored after this one, in order."""
        return [_begun(row) for row in self._all("begun_after", id=id) if row["instance"] is not None]

    def highest_occurrence(self) -> int:
        """Return the highest id of an occurrence; 0 without any."""
        row = self._one("highest_occurrence")
        assert row is not None
        return int(row["id"])


def _begun(row: sqlite3.Row) -> Begun:
    return Begun(row["second"], str(row["instance"])[:LONGEST_INSTANCE])
