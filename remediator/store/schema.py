"""Opening the database file: pragmas, schema versions, and the model's moves written into it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from remediator.model import ENDS, LIVE, LOCKED, MOVES
from remediator.store.errors import StoreTooNew
from remediator.store.queries import queries

DATABASE = "selfheal.db"
MIGRATIONS = ("0001_initial.sql", "0002_limits_and_proofs.sql", "0003_hands.sql", "0004_recurrences.sql")
"""One file per schema version, in order; a released one never changes."""
BUSY_SECONDS = 2.0
"""How long a statement waits for a lock that somebody else (a person's sqlite3) holds on the file."""


def open_writer(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open or make the database for the one writer: WAL, every commit synced, schema up to date.

    Raise StoreTooNew if a later version wrote it, sqlite3.Error if it cannot be used.
    """
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        # only takes effect before the first table exists; lets retention give pages back in small parts
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        # the system caches the file too: 1 MiB here serves a storm as fast as the default of 2
        connection.execute("PRAGMA cache_size = -1024")
        connection.execute("PRAGMA journal_size_limit = 16777216").fetchall()
        _migrate(connection)
        _fill(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, busy_seconds: float = BUSY_SECONDS) -> sqlite3.Connection:
    """Open the database for reading beside its writer. Raise sqlite3.Error if it cannot be."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
        # what one turn asks, again and again; of a hundred queries each connection would keep its own hundred
        cached_statements=32,
    )
    connection.row_factory = sqlite3.Row
    try:
        # many of these are open at once: 256 KiB of cache each instead of 2 MiB
        connection.execute("PRAGMA cache_size = -256")
    except BaseException:
        connection.close()
        raise
    return connection


def open_offline(path: Path) -> sqlite3.Connection:
    """Open the database for reading when perhaps no process has it. Raise sqlite3.Error or StoreTooNew."""
    connection = open_reader(path)
    try:
        _refuse_newer(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_newer(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchall()[0][0])
    if version > len(MIGRATIONS):
        raise StoreTooNew(
            f"the store has schema version {version}, this program knows up to {len(MIGRATIONS)}: use the newer program"
        )
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, each version in one transaction."""
    for number in range(_refuse_newer(connection) + 1, len(MIGRATIONS) + 1):
        text = (Path(__file__).parent / "sqlite" / MIGRATIONS[number - 1]).read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")


def _fill(connection: sqlite3.Connection) -> None:
    """Write the model's states and permitted moves into the tables that the triggers read."""
    named = queries()
    connection.execute("BEGIN IMMEDIATE")
    states = [
        {"name": state.value, "live": state in LIVE, "locked": state in LOCKED, "ended": state in ENDS}
        for state in MOVES
    ]
    connection.executemany(named["fill_state"], states)
    connection.execute(named["clear_moves"])
    connection.executemany(named["add_move"], [{"a": a.value, "b": b.value} for a, to in MOVES.items() for b in to])
    connection.execute("COMMIT")
