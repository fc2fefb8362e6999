"""Whether monitoring is stopped: then alerts are stored with that fate, and nothing is asked or done about them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from remediator.store.rows import Rows, plain


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop in force."""

    who: str
    why: str
    since: float
    until: float | None


class StopReads(Rows):
    """Reading the stop."""

    def monitoring_stopped(self, now: float) -> Stop | None:
        """Return the stop in force, or None."""
        row = self._one("monitoring_stop")
        if row is None or (row["until"] is not None and now >= row["until"]):
            return None
        return stop_of(row)


class StopWrites(StopReads):
    """Writing the stop."""

    def stop_monitoring(self, stop: Stop) -> None:
        """Put a stop in force, in the place of an earlier one."""
        self._run("stop_monitoring", who=plain(stop.who), why=plain(stop.why), since=stop.since, until=stop.until)

    def start_monitoring(self) -> bool:
        """End the stop; say whether there was one."""
        return self._run("start_monitoring") > 0


def stop_of(row: sqlite3.Row) -> Stop:
    """Given a row of monitoring_stop, return the value."""
    return Stop(row["who"], row["why"], row["since"], row["until"])
