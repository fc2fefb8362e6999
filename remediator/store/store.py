"""The store of one daemon: one folder, one owning process, one writer thread, any number of readers."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from remediator.errors import StoreBusy, StoreUnavailable
from remediator.model import BreakerLimits
from remediator.model.trust import NOT_FIXED
from remediator.store import ballast
from remediator.store.breakers import DEFAULT_LIMITS
from remediator.store.queries import queries
from remediator.store.schema import BUSY_SECONDS, DATABASE, open_reader, open_writer
from remediator.store.transaction import Reader, Tx
from remediator.store.work import Due
from remediator.store.writer import Writer
from selfheal.common.clock import Clock

T = TypeVar("T")
LOCK = "lock"
KEPT_READERS = 4
"""Read connections kept open for the next reader."""
BALLAST_EVERY = 60.0
"""Seconds between two tries to make the ballast again."""


class Store:
    """A durable record. `write` returns only after the commit; `read` gives a snapshot."""

    def __init__(self, folder: Path, clock: Clock, lock: int, writer: Writer) -> None:
        self.folder = folder
        self._clock = clock
        self._lock = lock
        self._writer = writer
        self._readers: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._closed = False
        self._ballast_tried = clock.monotonic()
        self._ballast_missing = not ballast.restore(folder)
        writer.on_success = self._after_commit

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Clock,
        busy_seconds: float = BUSY_SECONDS,
        breaker: BreakerLimits = DEFAULT_LIMITS,
        not_fixed: int = NOT_FIXED,
    ) -> Store:
        """Open or make the store in `folder` (mode 0700) and own it until `close`.

        `breaker` says when breakers open, `not_fixed` when a playbook loses its rung.

        Raise StoreBusy if another process owns it, StoreTooNew if a later version wrote it, StoreUnavailable if it
        cannot be used.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _own(folder)
        except OSError as error:
            raise StoreUnavailable(f"cannot use the store in {folder}: {error}") from error
        try:
            connection = open_writer(folder / DATABASE, busy_seconds)
            return cls(folder, clock, lock, Writer(connection, clock, breaker, not_fixed))
        except sqlite3.Error as error:
            os.close(lock)
            raise StoreUnavailable(f"cannot open the store in {folder}: {error}") from error
        except BaseException:
            os.close(lock)
            raise

    @property
    def on_due(self) -> Callable[[list[Due]], None] | None:
        """Called on the writer thread after each commit, before its callers go on, with the work rows it changed."""
        return self._writer.on_due

    @on_due.setter
    def on_due(self, listener: Callable[[list[Due]], None] | None) -> None:
        self._writer.on_due = listener

    @property
    def errors(self) -> int:
        """How many groups of writes could not be committed."""
        return self._writer.errors

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a transaction and return its result after the COMMIT.

        Raise what `work` raised (then nothing of it is stored, while its neighbours in the group are), or
        StoreUnavailable if the disk is full, the file is locked, or it cannot be written.
        """
        result: T = self._writer.submit(work)
        return result

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Give a reader of the present snapshot. Raise StoreUnavailable if it cannot be read."""
        connection = self._borrow()
        try:
            yield Reader(connection, self._clock)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise StoreUnavailable(f"the store cannot be read: {error}") from error
        finally:
            self._give_back(connection)

    def give_up_ballast(self) -> bool:
        """Delete the ballast file, so that a repair of a full disk can be recorded; say whether there was one."""
        given = ballast.give_up(self.folder)
        self._ballast_missing = True
        self._ballast_tried = self._clock.monotonic()
        return given

    def restore_ballast(self) -> bool:
        """Make the ballast file again if there is room; say whether it is there. Tried by itself once a minute."""
        self._ballast_tried = self._clock.monotonic()
        self._ballast_missing = not ballast.restore(self.folder)
        return not self._ballast_missing

    def close(self) -> None:
        """Commit what is queued, close every connection and give the folder back."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            readers, self._readers = self._readers, []
        for connection in readers:
            connection.close()
        self._writer.close()
        os.close(self._lock)

    def _after_commit(self) -> None:
        if self._ballast_missing and self._clock.monotonic() - self._ballast_tried >= BALLAST_EVERY:
            self.restore_ballast()

    def _borrow(self) -> sqlite3.Connection:
        with self._guard:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            connection = self._readers.pop() if self._readers else None
        try:
            if connection is None:
                connection = open_reader(self.folder / DATABASE)
            # a transaction's snapshot begins with its first read
            connection.execute("BEGIN")
            connection.execute(queries()["first_read"]).fetchall()
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise StoreUnavailable(f"the store cannot be read: {error}") from error
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            # closed already after an error; a connection that cannot end its transaction is not kept either
            connection.close()
            return
        with self._guard:
            if not self._closed and len(self._readers) < KEPT_READERS:
                self._readers.append(connection)
                return
        connection.close()


def _own(folder: Path) -> int:
    """Lock the folder for this process and write its pid there. Raise StoreBusy naming who has it, or OSError."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreBusy(f"the store in {folder} is in use by process {owner}") from error
    except BaseException:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
