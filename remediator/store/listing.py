"""Lists and details as the API and the commands show them: plain values, times in RFC 3339, the newest first."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from remediator.model import Json
from remediator.store.history import HistoryReads
from remediator.store.steps import StepReads, effects_of
from selfheal.common.clock import to_rfc3339

NEWEST = 2**62
"""A cursor beyond every id."""
HEARTBEAT = "none"
"""The severity of an alert that always fires to show that the way is open: it says that nothing is wrong."""


class ListingReads(HistoryReads, StepReads):
    """Reading for people."""

    def list_remediations(self, limit: int, before: int | None = None, state: str | None = None) -> Json:
        """Return {"items", "next"}: up to `limit` remediations older than id `before`, in `state` if given."""
        name = "list_remediations" if state is None else "list_remediations_in_state"
        values: dict[str, Any] = {"before": NEWEST if before is None else before, "limit": limit + 1}
        if state is not None:
            values["state"] = state
        return _page(self._all(name, **values), limit, _remediation)

    def open_remediations(self, limit: int, before: int | None = None, state: str | None = None) -> Json:
        """Return {"items", "next", "count"}: a page of those that are not over, and how many there are in all."""
        before = NEWEST if before is None else before
        rows = self._all("list_remediations_open", before=before, limit=limit + 1, state=state)
        return _page(rows, limit, _remediation) | {"count": self._how_many("count_remediations_open", state=state)}

    def remediation_detail(self, id: int) -> Json | None:
        """Return a remediation with its decisions, steps, evidence and events, or None if there is none."""
        row = self._one("one_remediation", id=id)
        if row is None:
            return None
        return _remediation(row) | {
            "until": _time(row["until"]),
            "cancel": row["cancel"],
            "held_since": _time(row["held_since"]),
            "decisions": [
                {"at": _time(decision["at"]), **answer, "until": _time(answer["until"])}
                for decision in self._all("decisions", id=id)
                for answer in json.loads(decision["answers"])
            ],
            "steps": [
                effects_of(step) | {"intent_at": _time(step["intent_at"]), "ended_at": _time(step["ended_at"])}
                for step in self._all("steps", id=id)
            ],
            "evidence": [
                {"at": _time(each["at"]), "phase": each["phase"], "body": json.loads(each["body"])}
                for each in self._all("evidence", id=id)
            ],
            "events": [_event(event) for event in self._all("events_of", id=id)],
        }

    def list_alerts(self, limit: int, before: int | None = None) -> Json:
        """Return {"items", "next"}: up to `limit` occurrences older than id `before`, each with its fate."""
        rows = self._all("list_alerts", before=NEWEST if before is None else before, limit=limit + 1)
        return _page(rows, limit, _alert)

    def open_alerts(self, limit: int, before: int | None = None, *, heartbeats: bool = False) -> Json:
        """Return {"items", "next", "count"}: a page of the occurrences that are on, and how many there are in all.

        Heartbeats are left out, which are on while nothing is wrong, unless they are asked for.
        """
        which: dict[str, Any] = {"all": heartbeats, "heartbeat": HEARTBEAT}
        before = NEWEST if before is None else before
        rows = self._all("list_alerts_open", before=before, limit=limit + 1, **which)
        return _page(rows, limit, _alert) | {"count": self._how_many("count_alerts_open", **which)}

    def _how_many(self, name: str, **values: Any) -> int:
        row = self._one(name, **values)
        return 0 if row is None else int(row["count"])


def _page(rows: list[sqlite3.Row], limit: int, show: Any) -> Json:
    more = len(rows) > limit
    items = [show(row) for row in rows[:limit]]
    return {"items": items, "next": str(rows[limit - 1]["id"]) if more and items else None}


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else to_rfc3339(seconds)


def _remediation(row: sqlite3.Row) -> Json:
    return {
        "id": str(row["id"]),
        "playbook": row["playbook"],
        "target": row["target"],
        "state": row["state"],
        "reason": row["reason"],
        "verdict": row["verdict"],
        "mode": row["mode"],
        "created_at": _time(row["created_at"]),
        "started_at": _time(row["started_at"]),
        "verified_at": _time(row["verified_at"]),
        "ended_at": _time(row["ended_at"]),
        "alert": {
            "alertname": row["alertname"],
            "fingerprint": row["fingerprint"],
            "starts_at": _time(row["starts_at"]),
            "labels": json.loads(row["labels"]),
        },
    }


def _alert(row: sqlite3.Row) -> Json:
    labels = json.loads(row["labels"])
    malformed = row["status"] == "malformed"
    return {
        "id": str(row["id"]),
        "fingerprint": row["fingerprint"],
        "alertname": row["alertname"],
        "labels": {} if malformed else labels,
        "status": "malformed" if malformed else "firing" if row["closed_at"] is None else "resolved",
        "problem": labels["problem"] if malformed else None,
        "starts_at": _time(row["starts_at"]),
        "received_at": _time(row["received_at"]),
        "closed_at": _time(row["closed_at"]),
        "fate": row["fate"],
        "reason": row["reason"],
        "remediation_id": None if row["remediation_id"] is None else str(row["remediation_id"]),
    }


def _event(row: sqlite3.Row) -> Json:
    return {
        "at": _time(row["at"]),
        "kind": row["kind"],
        "from": row["old"],
        "to": row["new"],
        "reason": row["reason"],
        "detail": json.loads(row["detail"]),
    }
