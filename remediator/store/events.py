"""The append-only history of transitions, and how far each channel has read it."""

from __future__ import annotations

import json
import sqlite3

from remediator.model import Event, Json, Reason
from remediator.store.audit import AuditReads, AuditWrites
from remediator.store.chain import PRUNED, detail_text


class EventReads(AuditReads):
    """Reading events."""

    def events_after(self, cursor_id: int, limit: int) -> list[Event]:
        """Return up to `limit` events later than event `cursor_id`, in order."""
        return [event_of(row) for row in self._all("events_after", id=cursor_id, limit=limit)]

    def cursor(self, channel: str) -> int:
        """Return the last event that `channel` has read; 0 if none."""
        row = self._one("cursor", channel=channel)
        return 0 if row is None else int(row["event_id"])


class EventWrites(EventReads, AuditWrites):
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
        """Append an event to the chain and return its id."""
        return self._append(
            {
                "at": float(now),
                "remediation_id": remediation_id,
                "occurrence_id": occurrence_id,
                "kind": kind,
                "old": old,
                "new": new,
                "reason": reason,
                "detail": detail_text(detail or {}),
            }
        )

    def record_act(
        self, act: str, who: str, now: float, *, remediation_id: int | None = None, detail: Json | None = None
    ) -> int:
        """Append what somebody did besides moves, such as `paused` or `approved`, and return the event's id."""
        return self.add_event(act, now, remediation_id=remediation_id, detail={**(detail or {}), "who": who})

    def prune_events(self, before: float, limit: int) -> int:
        """Forget up to `limit` of the oldest events, as far as all are older than `before`; return how many went.

        The chain goes on behind an anchor, and an event of its own says what went.
        """
        count, through = self._prune(before, limit)
        if through is not None:
            detail = {"events": count, "through": through.id, "hash": through.hash.hex()}
            self.add_event(PRUNED, self._clock.now(), detail=detail)
        return count

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
