"""The chained history in the store: appended by the writer, verified by anybody, forgotten from its beginning only.

An event is written once and never changed; what is old goes behind an anchor that keeps the last deleted hash.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from remediator.errors import StoreUnavailable
from remediator.model import Json
from remediator.model.rows import CLOCK_SET
from remediator.store.chain import GENESIS, Anchor, Audit, Chain, Checker, Position, digest, exported
from remediator.store.rows import Rows
from selfheal.common.clock import to_rfc3339
from selfheal.common.files import write_atomic

HEAD = "audit.head"
"""The file in the state folder that says how far the chain went: without it a cut at the end could not be seen."""
PAGE = 1_000
"""Rows read at a time."""


class AuditReads(Rows):
    """Reading the chain."""

    def audit_head(self) -> Position:
        """Return the last event's id and hash; the anchor's where there is no later event."""
        row = self._one("audit_last")
        if row is not None and row["hash"] is not None:
            return Position(int(row["id"]), row["hash"])
        anchor = self.audit_anchor()
        return Position(anchor.id, anchor.hash)

    def audit_anchor(self) -> Anchor:
        """Return where the chain begins."""
        row = self._one("audit_anchor")
        if row is None:
            return Anchor(0, GENESIS, "lost")
        return Anchor(int(row["event_id"]), row["hash"], row["why"])

    def audit_rows(self, after: int, limit: int = PAGE) -> list[sqlite3.Row]:
        """Return up to `limit` events with ids above `after`, as stored, in order."""
        return self._all("events_after", id=after, limit=limit)

    def audit_holds(self, head: Position) -> bool:
        """Say whether the event `head.id` is there with that hash, or retention took it already."""
        if head.id <= self.audit_anchor().id:
            return True
        rows = self.audit_rows(head.id - 1, 1)
        return bool(rows) and Position(rows[0]["id"], rows[0]["hash"]) == head

    def audit_entries(self, after: int, limit: int) -> Json:
        """Return {"items", "next"}: up to `limit` events with ids above `after`, the oldest first, with hashes."""
        rows = self.audit_rows(after, limit + 1)
        more = len(rows) > limit
        items = [_entry(row) for row in rows[:limit]]
        return {"items": items, "next": items[-1]["id"] if more and items else None}

    def audit_id(self, place: int | float | None, default: int | None, *, end: bool = False) -> int | None:
        """Given an event's id or a time (a float, epoch seconds), return the id of the first event not before it.

        With `end` return the last that is not after it. No place is `default`.
        """
        if place is None or isinstance(place, int):
            return default if place is None else place
        row = self._one("audit_since", at=math.nextafter(place, math.inf) if end else place)
        found = None if row is None else row["id"]
        if found is None:
            return None if end else self.audit_head().id + 1
        return int(found) - int(end)

    def audit_lines(self, first: int = 0, last: int | None = None) -> Iterator[str]:
        """Yield the lines of an export: the chained events from id `first` to `last`, in order."""
        before = self.audit_anchor()
        previous = before.hash
        at = before.id
        while rows := self.audit_rows(at):
            for row in rows:
                if row["hash"] is None or (last is not None and row["id"] > last):
                    return
                if row["id"] >= first:
                    yield exported(row, previous)
                previous = row["hash"]
            at = rows[-1]["id"]

    def audit_piece(self, after: int | None, limit: int = PAGE) -> tuple[list[str], int]:
        """Return up to `limit` lines of an export after event `after` (None: from the beginning), and the last's id.

        Raise StoreUnavailable if the event `after` went meanwhile: what follows could lack something in between.
        """
        anchor = self.audit_anchor()
        at, previous = anchor.id, anchor.hash
        if after is not None and after != anchor.id:
            before = self.audit_rows(after - 1, 1)
            if after < anchor.id or not before or before[0]["id"] != after or before[0]["hash"] is None:
                raise StoreUnavailable("the history was shortened meanwhile")
            at, previous = after, before[0]["hash"]
        lines = []
        for row in self.audit_rows(at, limit):
            if row["hash"] is None:
                break
            lines.append(exported(row, previous))
            at, previous = row["id"], row["hash"]
        return lines, at

    def audit_verify(self, heads: Iterable[Position] = ()) -> Audit:
        """Follow the whole chain of one snapshot, `heads` being places that were seen before; return what was found."""
        own = not self._connection.in_transaction
        if own:
            # the daemon may append and forget meanwhile
            self._connection.execute("BEGIN")
        try:
            checker = Checker(self.audit_anchor())
            for head in heads:
                checker.expect(head)
            while checker.problem is None and (rows := self.audit_rows(checker.at.id)):
                checker.feed(rows)
            checker.finish()
            return self.audit_of(checker)
        finally:
            if own:
                self._connection.execute("ROLLBACK")

    def audit_of(self, checker: Checker) -> Audit:
        """Given a checker that is through, return what it found."""
        row = self._one("audit_unchained", id=checker.anchor.id)
        return Audit(
            checked=checker.checked,
            unchained=0 if row is None else int(row["count"]),
            begins_after=checker.anchor.id,
            head=checker.at,
            problem=checker.problem,
            first_bad=checker.first_bad,
        )


class AuditWrites(AuditReads):
    """Appending to the chain, and forgetting its beginning."""

    _chain: Chain

    def _append(self, values: dict[str, Any]) -> int:
        """Append one event and return its id. `values` are its columns without id and hash."""
        head = self._chain.head
        if head is None:
            head = self.audit_head()
        values["id"] = head.id + 1
        values["hash"] = digest(values, head.hash)
        self._run("add_event", **values)
        self._chain.head = Position(values["id"], values["hash"])
        return head.id + 1

    def _prune(self, before: float, limit: int) -> tuple[int, Position | None]:
        """Delete up to `limit` of the first events, as far as all are older than `before`.

        An event from ahead of the clock was stamped before that was set back: how old it is, what came after it tells.
        Return how many, and the last that went if it was chained.
        """
        present = self._clock.now() + CLOCK_SET
        rows = self._all("audit_first", limit=limit)
        through: sqlite3.Row | None = None
        count = 0
        for position, row in enumerate(rows, 1):
            if before <= row["at"] <= present:
                break
            if row["at"] < before:
                through, count = row, position
        if rows and all(row["at"] > present for row in rows):
            following = self._one("audit_first_until", at=present)
            if following is not None and following["at"] < before:
                through, count = rows[-1], len(rows)
        if through is None:
            return 0, None
        chained = through["hash"] is not None
        if chained:
            # the writer's own end is needed when nothing is left
            self._chain.head = self._chain.head or self.audit_head()
            self._run("add_anchor", id=through["id"], hash=through["hash"], now=self._clock.now())
            self._run("delete_anchors", id=through["id"])
        self._run("delete_first_events", id=through["id"])
        return count, Position(through["id"], through["hash"]) if chained else None


def write_head(folder: Path, head: Position, now: float) -> None:
    """Write the head's file, synced. Raise OSError if that is not possible."""
    content = {"id": head.id, "hash": head.hash.hex(), "at": to_rfc3339(now)}
    write_atomic(folder / HEAD, json.dumps(content).encode() + b"\n", 0o600)


def read_head(folder: Path) -> Position | None:
    """Return the head that the file tells, None where there is no file. Raise ValueError if it is broken."""
    try:
        text = (folder / HEAD).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{folder / HEAD} cannot be read: {error}") from error
    try:
        found = json.loads(text)
        return Position(int(found["id"]), bytes.fromhex(found["hash"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{folder / HEAD} is broken ({error.__class__.__name__})") from error


def _entry(row: sqlite3.Row) -> Json:
    return {
        "id": str(row["id"]),
        "at": to_rfc3339(row["at"]),
        "kind": row["kind"],
        "from": row["old"],
        "to": row["new"],
        "reason": row["reason"],
        "remediation_id": None if row["remediation_id"] is None else str(row["remediation_id"]),
        "occurrence_id": None if row["occurrence_id"] is None else str(row["occurrence_id"]),
        "detail": json.loads(row["detail"]),
        "hash": None if row["hash"] is None else row["hash"].hex(),
    }
