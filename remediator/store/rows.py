"""What reading and writing share: one connection, named queries, and text that SQLite can take."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from remediator.store.queries import queries
from remediator.store.starts import Starts
from selfheal.common.clock import Clock


class Rows:
    """A connection with the store's named queries. Results are always read to the end: an unread one blocks COMMIT."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._queries = queries()
        self._starts = Starts()

    def _all(self, name: str, /, **values: Any) -> list[sqlite3.Row]:
        """Run a named query and return every row."""
        return self._connection.execute(self._queries[name], values).fetchall()

    def _one(self, name: str, /, **values: Any) -> sqlite3.Row | None:
        """Run a named query and return its first row."""
        rows = self._connection.execute(self._queries[name], values).fetchall()
        return rows[0] if rows else None

    def _run(self, name: str, /, **values: Any) -> int:
        """Run a named statement and return how many rows it changed."""
        return self._connection.execute(self._queries[name], values).rowcount

    def _insert(self, name: str, /, **values: Any) -> int:
        """Run a named insert and return the new row's id."""
        number = self._connection.execute(self._queries[name], values).lastrowid
        assert number is not None
        return number


_compact = json.JSONEncoder(separators=(",", ":")).encode


def to_text(value: Any) -> str:
    """Given a JSON value, return it as ASCII text: even half a surrogate pair in a label survives."""
    return _compact(value)


def plain(text: str) -> str:
    """Return `text` as SQLite can store it: half a surrogate pair, which UTF-8 lacks, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
