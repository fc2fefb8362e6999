"""The chain: each event's hash covers its content and the hash before it, so that history cannot be altered unseen.

Pure: what a hash covers, and how a chain is followed. The rows are read and written in `audit.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Protocol

from remediator.model import Json

GENESIS = bytes(32)
"""What the first event of a chain covers instead of an earlier hash."""
PRUNED = "pruned"
"""The kind of the event that tells of a deletion by retention; it vouches for the anchor."""

_sorted = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


class Break(StrEnum):
    """What is wrong with a chain."""

    ALTERED = "altered"  # content and hash of an event do not belong together, or it does not follow the one before
    MISSING = "missing"  # an event between two others, or the first ones, are gone
    UNHASHED = "unhashed"  # an event that was stored without a hash
    TRUNCATED = "truncated"  # the last events are gone: an earlier head is known
    REPLACED = "replaced"  # the event at a known head has another hash: the history after some point is another one
    ANCHOR = "anchor"  # the beginning is another than retention, or the first version, left it


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the chain: an event's id and hash."""

    id: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the chain that is left begins: after this event."""

    id: int
    hash: bytes
    why: str
    """`begin` or `retention`."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What verifying found."""

    checked: int
    """Events whose hash was computed anew."""
    unchained: int
    """Events that an earlier version stored before there was a chain: nothing is said of them."""
    begins_after: int
    head: Position
    problem: Break | None = None
    first_bad: int | None = None

    @property
    def ok(self) -> bool:
        """Say whether the whole chain is unaltered."""
        return self.problem is None

    def to_json(self) -> Json:
        """Return it as plain values."""
        return {
            "ok": self.ok,
            "checked": self.checked,
            "unchained": self.unchained,
            "begins_after": self.begins_after,
            "head": {"id": self.head.id, "hash": self.head.hash.hex()},
            "problem": None if self.problem is None else self.problem.value,
            "first_bad": self.first_bad,
        }


class Columns(Protocol):
    """An event's columns by name: a stored row, or what is about to be one."""

    def __getitem__(self, name: str, /) -> Any:
        """Return one column."""
        ...


def detail_text(detail: Json) -> str:
    """Given an event's detail, return it as it is stored: ASCII JSON, keys sorted, no spaces."""
    return _sorted(detail)


def canonical(event: Columns, previous: bytes) -> str:
    """Given the columns of an event and the hash before it, return the JSON text that its hash covers.

    It is one object with sorted keys and without spaces; `at` is in seconds since the epoch.
    """
    return (
        f'{{"at":{event["at"]!r},"detail":{event["detail"]},"id":{event["id"]},"kind":{quoted(event["kind"])},'
        f'"new":{_text(event["new"])},"occurrence_id":{_number(event["occurrence_id"])},"old":{_text(event["old"])},'
        f'"previous":"{previous.hex()}","reason":{_text(event["reason"])},'
        f'"remediation_id":{_number(event["remediation_id"])}}}'
    )


def digest(event: Columns, previous: bytes) -> bytes:
    """Given the columns of an event and the hash before it, return its hash."""
    return hashlib.sha256(canonical(event, previous).encode()).digest()


def exported(event: Columns, previous: bytes) -> str:
    """Given a stored event and the hash before it, return its line of an export.

    The hash is the last key: without it the line is the text that the hash covers.
    """
    return f'{canonical(event, previous)[:-1]},"hash":"{event["hash"].hex()}"}}'


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


class Chain:
    """The writer's end of the chain, in memory; forgotten when a transaction is taken back, and read again."""

    def __init__(self) -> None:
        self.head: Position | None = None

    def forget(self) -> None:
        """The store's file says what is true now."""
        self.head = None


class Checker:
    """Follows a chain from its anchor, in as many pieces as one likes, to the first thing that is wrong."""

    def __init__(self, anchor: Anchor) -> None:
        self.anchor = anchor
        self.at = Position(anchor.id, anchor.hash)
        self.checked = 0
        self.problem: Break | None = None
        self.first_bad: int | None = None
        # a chain that begins with nothing before it needs nobody who vouches for that
        self._vouched = anchor.why == "begin" and anchor.hash == GENESIS
        self._heads: dict[int, set[bytes]] = {}

    def expect(self, head: Position) -> None:
        """Demand that the event `head.id` is there with that hash."""
        self._heads.setdefault(head.id, set()).add(head.hash)

    def forget(self, anchor: Anchor) -> bool:
        """Retention took the beginning meanwhile: go on behind the new anchor. Say whether what went was followed.

        An event that is still to come must vouch for the new anchor.
        """
        if anchor.id > self.at.id:
            return False
        self.anchor, self._vouched = anchor, False
        return True

    def feed(self, rows: Iterable[Columns]) -> None:
        """Take the next rows, in the order of their ids."""
        for row in rows:
            if self.problem is not None:
                return
            self._follow(row)

    def _follow(self, row: Columns) -> None:
        id = int(row["id"])
        if id != self.at.id + 1:
            self._broken(Break.MISSING, self.at.id + 1)
        elif row["hash"] is None:
            self._broken(Break.UNHASHED, id)
        elif digest(row, self.at.hash) != row["hash"]:
            self._broken(Break.ALTERED, id)
        elif self._heads.get(id, set()) - {row["hash"]}:
            self._broken(Break.REPLACED, id)
        else:
            self.at = Position(id, row["hash"])
            self.checked += 1
            self._vouched = self._vouched or (row["kind"] == PRUNED and self._vouches(row))

    def _vouches(self, row: Columns) -> bool:
        detail = json.loads(row["detail"])
        return (detail.get("through"), detail.get("hash")) == (self.anchor.id, self.anchor.hash.hex())

    def finish(self) -> None:
        """The last row was taken: say what is missing at the end."""
        if self.problem is not None:
            return
        later = [id for id in self._heads if id > self.at.id]
        if later:
            self._broken(Break.TRUNCATED, self.at.id + 1)
        elif not self._vouched:
            self._broken(Break.ANCHOR, self.anchor.id)

    def _broken(self, problem: Break, first_bad: int) -> None:
        self.problem, self.first_bad = problem, first_bad
