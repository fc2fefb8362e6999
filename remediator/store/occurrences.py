"""Occurrences and deliveries: what was received, one open period per alert, and what became of it."""

from __future__ import annotations

import json
import sqlite3

from remediator.model import Alert, Json, Occurrence, Reason, State, Try
from remediator.store.events import EventReads, EventWrites
from remediator.store.rows import plain, to_text
from remediator.store.work import WorkReads, WorkWrites

MALFORMED_KEPT = 64 * 1024
"""Bytes kept of an alert that could not be read."""
CUT = " …[cut]"
MOST_PERIODS = 16
"""Periods of one alert, each a recurrence of the one before, whose tries are counted together."""


class OccurrenceReads(EventReads, WorkReads):
    """Reading occurrences."""

    def occurrence(self, id: int) -> Occurrence | None:
        """Return an occurrence, or None if there is none with this id."""
        row = self._one("occurrence", id=id)
        return None if row is None else occurrence_of(row)

    def open_occurrences(self, after: int = 0, limit: int = -1) -> list[Occurrence]:
        """Return up to `limit` (-1: all) open occurrences with ids above `after`, the oldest first."""
        return [occurrence_of(row) for row in self._all("open_occurrences", after=after, limit=limit)]

    def open_occurrence_of(self, fingerprint: str) -> Occurrence | None:
        """Return the open occurrence of `fingerprint`, or None if none is open."""
        row = self._one("open_occurrence_of", fingerprint=plain(fingerprint))
        return None if row is None else occurrence_of(row)

    def closed_since(self, fingerprint: str, since: float) -> bool:
        """Say whether an occurrence of `fingerprint` was closed after `since`."""
        return self._one("closed_since", fingerprint=plain(fingerprint), since=since) is not None

    def attempts(self, occurrence_id: int) -> int:
        """Return how many remediations of the occurrence stored an intent."""
        row = self._one("attempts", occurrence_id=occurrence_id)
        return 0 if row is None else int(row["attempts"])

    def tries(self, occurrence_id: int) -> list[Try]:
        """Return what was tried for the occurrence since an effect was begun for it first, the oldest first.

        What came before led to nothing, and may be thousands: an alert that stays on is decided again and again. What
        was tried for an earlier period counts too if it came back from there while that repair was watched.
        """
        periods = [occurrence_id]
        while len(periods) < MOST_PERIODS and (row := self._one("recurred_before", occurrence_id=periods[-1])):
            periods.append(int(row["id"]))
        return [_try_of(row) for id in reversed(periods) for row in self._all("tries", occurrence_id=id)]

    def tried_before(self, occurrence_id: int) -> int | None:
        """Return the remediation that an occurrence recurred from: it came back while that one was watched."""
        row = self._one("recurred_before", occurrence_id=occurrence_id)
        return None if row is None or row["remediation_id"] is None else int(row["remediation_id"])

    def came_back(self, occurrence_id: int, since: float) -> bool:
        """Say whether another period of the occurrence's alert began after `since`, whatever became of it."""
        return self._one("period_since", occurrence_id=occurrence_id, since=since) is not None

    def newest_tries(self, occurrence_id: int, limit: int) -> list[Try]:
        """Return up to `limit` of what was tried last for the occurrence, the newest first."""
        return [_try_of(row) for row in self._all("newest_tries", occurrence_id=occurrence_id, limit=limit)]

    def alert_standing(self, alertname: str) -> tuple[int, bool]:
        """Return the newest id of all occurrences (0 without any), and whether one of this alert is open."""
        row = self._one("alert_standing", alertname=plain(alertname))
        return (0, False) if row is None else (int(row["id"]), bool(row["is_open"]))

    def occurrence_of(self, alertname: str, after: int) -> Occurrence | None:
        """Return the first occurrence of this alert with an id above `after`, or None."""
        row = self._one("occurrence_after", alertname=plain(alertname), after=after)
        return None if row is None else occurrence_of(row)


class OccurrenceWrites(OccurrenceReads, EventWrites, WorkWrites):
    """Writing occurrences."""

    def add_delivery(self, now: float, receiver: str, alerts: int, truncated: int, version: str) -> int:
        """Record that one payload arrived, and return its id."""
        return self._insert(
            "add_delivery",
            at=now,
            receiver=plain(receiver),
            alerts=alerts,
            truncated=truncated,
            version=plain(version),
        )

    def open_occurrence(self, alert: Alert, now: float) -> tuple[int, bool]:
        """Given a firing alert, return (id, whether it is new). A new one is due for decision at once.

        One that is already open gets its annotations and its last_seen_at refreshed, and nothing else.
        """
        fingerprint = plain(alert.fingerprint)
        annotations = to_text(dict(alert.annotations))
        row = self._one("refresh_occurrence", fingerprint=fingerprint, annotations=annotations, now=now)
        if row is not None:
            return int(row["id"]), False
        id = self._insert(
            "add_occurrence",
            fingerprint=fingerprint,
            alertname=plain(alert.name),
            labels=to_text(dict(alert.labels)),
            annotations=annotations,
            generator_url=plain(alert.generator_url),
            starts_at=alert.starts_at,
            now=now,
        )
        self.schedule("occurrence", id, now)
        return id, True

    def add_request(self, name: str, alert: Alert, now: float) -> int:
        """Store what a person asked for as an occurrence that is closed from the start, and return its id.

        Nothing decides it by itself, resends it or ends it: it has the one remediation that is made for it.
        """
        return self._insert(
            "add_request",
            fingerprint=plain(alert.fingerprint),
            alertname=plain(name),
            labels=to_text(dict(alert.labels)),
            now=now,
        )

    def close_occurrence(self, fingerprint: str, now: float, how: str) -> int | None:
        """Close the open occurrence of `fingerprint` and return its id, or None if none is open.

        Its live remediations are asked to end and are due now; if nothing ever came of it, its fate is `closed`.
        """
        row = self._one("close_occurrence", fingerprint=plain(fingerprint), now=now, how=how)
        if row is None:
            return None
        id = int(row["id"])
        self.unschedule("occurrence", id)
        for live in self._all("cancel_of_occurrence", id=id, reason=Reason.RESOLVED):
            self.schedule("remediation", live["id"], now)
        if row["fate"] is None and self._one("unfinished_of_occurrence", id=id) is None:
            self._fate(id, "closed", Reason.RESOLVED, None, now)
        return id

    def set_fingerprint(self, id: int, fingerprint: str) -> None:
        """Let an occurrence be known by another fingerprint. Raise sqlite3.IntegrityError if another open one is."""
        self._run("set_fingerprint", id=id, fingerprint=plain(fingerprint))

    def add_malformed(self, now: float, text: str, problem: str) -> int:
        """Keep an alert that could not be read: its first 64 KiB and what is wrong with it. Return its id."""
        kept = plain(text).encode("utf-8")
        if len(kept) > MALFORMED_KEPT:
            kept = kept[: MALFORMED_KEPT - len(CUT.encode())]
            text = kept.decode("utf-8", "ignore") + CUT
        return self._insert("add_malformed", labels=to_text({"text": text, "problem": problem}), now=now)

    def set_fate(
        self, id: int, fate: str, reason: Reason, remediation_id: int | None = None, *, detail: Json | None = None
    ) -> None:
        """Record what became of an occurrence. It is decided by this: its work row goes until it is reconsidered."""
        self.unschedule("occurrence", id)
        self._fate(id, fate, reason, remediation_id, self._clock.now(), detail)

    def reconsider(self, id: int, now: float) -> None:
        """Make an occurrence due for decision again."""
        self.schedule("occurrence", id, now)

    def _fate(
        self,
        id: int,
        fate: str,
        reason: Reason | None,
        remediation_id: int | None,
        now: float,
        detail: Json | None = None,
    ) -> None:
        row = self._one("fate", id=id)
        if row is None:
            return
        self._run("set_fate", id=id, fate=fate, reason=reason, remediation_id=remediation_id)
        self.add_event(
            "fate",
            now,
            remediation_id=remediation_id,
            occurrence_id=id,
            old=row["fate"],
            new=fate,
            reason=reason,
            detail=detail,
        )


def occurrence_of(row: sqlite3.Row) -> Occurrence:
    """Given a row of occurrence, return the value. A malformed one has the text that came as a label."""
    labels = json.loads(row["labels"])
    alert = Alert(
        status=row["status"],
        labels=labels,
        annotations=json.loads(row["annotations"]),
        starts_at=row["starts_at"],
        fingerprint=row["fingerprint"],
        generator_url=row["generator_url"],
    )
    return Occurrence(
        id=row["id"],
        alert=alert,
        received_at=row["received_at"],
        last_seen_at=row["last_seen_at"],
        closed_at=row["closed_at"],
        fate=row["fate"],
        reason=None if row["reason"] is None else Reason(row["reason"]),
        remediation_id=row["remediation_id"],
    )


def _try_of(row: sqlite3.Row) -> Try:
    return Try(
        row["playbook"],
        row["started_at"] is not None,
        State(row["state"]),
        None if row["reason"] is None else Reason(row["reason"]),
        row["created_at"],
    )
