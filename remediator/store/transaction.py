"""What callers see: `Reader` reads one snapshot, `Tx` reads and writes inside the writer's transaction."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from remediator.errors import StoreUnavailable
from remediator.store.answers import AnswerWrites
from remediator.store.bursts import BurstReads
from remediator.store.chain import Chain
from remediator.store.judging import TrustWrites
from remediator.store.listing import ListingReads
from remediator.store.marks import MarkReads, MarkWrites
from remediator.store.monitoring_stop import StopReads, StopWrites
from remediator.store.pauses import PauseReads, PauseWrites
from remediator.store.retention import RetentionWrites
from remediator.store.schema import DATABASE, open_offline
from remediator.store.trust import TrustReads
from remediator.store.work import Due
from selfheal.common.clock import Clock, SystemClock


class Reader(ListingReads, StopReads, TrustReads, BurstReads, PauseReads, MarkReads):
    """Everything that can be read, on one connection. `Store.read` gives one; `Reader.open` needs no running store."""

    @classmethod
    def open(cls, folder: Path, clock: Clock | None = None) -> Reader:
        """Open the store in `folder` for reading only, whether or not a process owns it; no lock is taken.

        Raise StoreUnavailable if there is no store or it cannot be read.
        """
        try:
            return cls(open_offline(folder / DATABASE), clock or SystemClock())
        except sqlite3.Error as error:
            raise StoreUnavailable(f"cannot read the store in {folder}: {error}") from error

    def close(self) -> None:
        """Close the connection of a reader that `open` made."""
        self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Tx(Reader, TrustWrites, RetentionWrites, AnswerWrites, StopWrites, PauseWrites, MarkWrites):
    """Reading and writing within one transaction of the writer thread; valid only inside the closure it is given to."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, generations: Iterator[int] | None = None) -> None:
        super().__init__(connection, clock)
        self.changed: list[Due] = []
        self.by = 0
        self._generations = generations or itertools.count(1)
        self._chain = Chain()

    def begin(self, by: int) -> int:
        """For the writer: the closure of thread `by` comes next. Return what `take_back` wants."""
        self.by = by
        self._starts.changed = False
        return len(self.changed)

    def take_back(self, mark: int) -> None:
        """For the writer: what was written since `mark` is rolled back."""
        del self.changed[mark:]
        self._chain.forget()
        if self._starts.changed:
            self._starts.forget()

    def take_back_all(self) -> None:
        """For the writer: the whole transaction is rolled back."""
        self.changed = []
        self._chain.forget()
        self._starts.forget()
