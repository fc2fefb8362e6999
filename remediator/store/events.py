"""The append-only history of transitions, and how far each channel has read it."""

from __future__ import annotations

import json
import sqlite3

from remediator.model import Event, Json, Reason
from remediator.store.rows import Rows, to_text


class EventReads(Rows):
    """Reading events."""

    def events_after(self, cursor_id: int, limit: int) -> list[Event]:
        """Return up to `limit` events later than event `cursor_id`, in order."""
        return [event_of(row) for row in self._all("events_after", id=cursor_id, limit=limit)]

    def cursor(self, channel: str) -> int:
        """Return the last event that `channel` has read; 0 if none."""
        row = self._one("cursor", channel=channel)
        return 0 if row is None else int(row["event_id"])


class EventWrites(EventReads):
    """Writing events."""

    def add_event(
        self,
        kind: str,
        now: float,
        *,
        remediation_id: int | None = None,
        occurrence_id: int | None = None,
        old: str | None = None,
        new: str | None = None,
        reason: Reason | None = None,
        detail: Json | None = None,
    ) -> int:
        """Append an event and return its id."""
        return self._insert(
            "add_event",
            at=now,
            remediation_id=remediation_id,
            occurrence_id=occurrence_id,
            kind=kind,
            old=old,
            new=new,
            reason=reason,
            detail=to_text(detail or {}),
        )

    def set_cursor(self, channel: str, id: int) -> None:
        """Remember that `channel` has read up to event `id`."""
        self._run("set_cursor", channel=channel, id=id)


def event_of(row: sqlite3.Row) -> Event:
    """Given a row of event, return the value."""
    return Event(
        id=row["id"],
        at=row["at"],
        remediation_id=row["remediation_id"],
        occurrence_id=row["occurrence_id"],
        kind=row["kind"],
        old=row["old"],
        new=row["new"],
        reason=None if row["reason"] is None else Reason(row["reason"]),
        detail=json.loads(row["detail"]),
    )
