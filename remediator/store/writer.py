"""The one writer: a thread that takes closures from a queue and commits up to 512 of them in one transaction.

One fsync is shared by everybody who waits for it, and each closure has its own savepoint.
"""

from __future__ import annotations

import itertools
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from remediator.errors import StoreUnavailable
from remediator.model import BreakerLimits
from remediator.model.trust import NOT_FIXED
from remediator.store.breakers import DEFAULT_LIMITS
from remediator.store.queries import queries
from remediator.store.transaction import Tx
from remediator.store.work import Due
from selfheal.common.clock import Clock

logger = logging.getLogger(__name__)

GROUP = 512
"""Closures per transaction."""
CLOSURES_FAULT = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
    }
)
"""Errors of SQLite that only concern what one closure asked; all others concern the file or the disk."""


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True)
class Job:
    """One closure somebody waits for. `done` is a lock, taken until the outcome is known."""

    work: Callable[[Tx], Any]
    by: int
    done: threading.Lock = field(default_factory=_locked)
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection and its thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        clock: Clock,
        breaker: BreakerLimits = DEFAULT_LIMITS,
        not_fixed: int = NOT_FIXED,
    ) -> None:
        highest = connection.execute(queries()["highest_generation"]).fetchall()[0]["generation"]
        self._connection = connection
        self._tx = Tx(connection, clock, itertools.count(highest + 1))
        self._tx.breaker_limits, self._tx.not_fixed = breaker, not_fixed
        self._queue: deque[Job] = deque()
        self._wanted = threading.Condition()
        self._closing = False
        self.errors = 0
        """Groups that could not be committed, and listeners that failed."""
        self.on_due: Callable[[list[Due]], None] | None = None
        self.on_failure: Callable[[], None] | None = None
        self.on_success: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Tx], Any]) -> Any:
        """Run `work` in the next group, and return its result once that is on disk.

        Raise what `work` raised, or StoreUnavailable if the group could not be committed.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a write inside a write would wait for itself")
        job = Job(work, threading.get_ident())
        with self._wanted:
            if self._closing:
                raise StoreUnavailable("the store is closed")
            self._queue.append(job)
            self._wanted.notify()
        job.done.acquire()
        if job.error is not None:
            raise job.error
        return job.result

    def close(self) -> None:
        """Finish what is queued, end the thread, close the connection."""
        with self._wanted:
            self._closing = True
            self._wanted.notify()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            with self._wanted:
                while not self._queue and not self._closing:
                    self._wanted.wait()
                if not self._queue:
                    return
                jobs = [self._queue.popleft() for _ in range(min(GROUP, len(self._queue)))]
            self._commit(jobs)

    def _commit(self, jobs: list[Job]) -> None:
        """Run one group of closures and commit it; nobody is released before it is decided."""
        try:
            due = self._try(jobs)
        except BaseException as error:  # noqa: BLE001  the thread must live on; every caller gets the error
            self._fail(jobs, error)
        else:
            self._tell(self.on_due, due)
            self._tell(self.on_success)
        for job in jobs:
            job.done.release()

    def _try(self, jobs: list[Job]) -> list[Due]:
        execute, tx = self._connection.execute, self._tx
        tx.changed = []
        execute("BEGIN IMMEDIATE")
        for job in jobs:
            execute("SAVEPOINT one")
            mark = tx.begin(job.by)
            try:
                job.result = job.work(tx)
            except BaseException as error:
                # the border to the callers' code: each gets its own error back, and its neighbours go on
                if not self._connection.in_transaction or _is_trouble(error):
                    raise
                tx.take_back(mark)
                execute("ROLLBACK TO one")
                job.error = error
            execute("RELEASE one")
        execute("COMMIT")
        return tx.changed

    def _fail(self, jobs: list[Job], error: BaseException) -> None:
        """Take the whole group back: nothing of it is stored."""
        self.errors += 1
        self._tx.take_back_all()
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                logger.exception("rollback failed")
        logger.error("store cannot write", extra={"problem": str(error), "writes": len(jobs)})
        for job in jobs:
            job.result = None
            job.error = StoreUnavailable(f"the store cannot write: {error}")
            job.error.__cause__ = error
        self._tell(self.on_failure)

    def _tell(self, listener: Callable[..., None] | None, *arguments: Any) -> None:
        if listener is None or arguments == ([],):
            return
        try:
            listener(*arguments)
        except Exception:
            # what is committed stays committed, whatever a listener makes of it
            self.errors += 1
            logger.exception("listener of the store failed")


def _is_trouble(error: BaseException) -> bool:
    """Say whether an error is the database's or the disk's, not the closure's: then the whole group is taken back."""
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    # the lower byte is the kind of error, the rest its variety
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF not in CLOSURES_FAULT
