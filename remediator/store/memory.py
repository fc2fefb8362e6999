"""A store that is gone with its process: for replay, where nothing is to last and nobody else may write.

The tables, triggers and queries are the daemon's own, on a database in memory and on one thread. Only what tells of
the past and decides nothing is handed to a listener instead of being kept: events, decisions, evidence, deliveries.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from remediator.model import BreakerLimits, Event, Frozen, GuardAnswer, Json, Reason
from remediator.store.breakers import DEFAULT_LIMITS
from remediator.store.schema import open_writer
from remediator.store.store import Store
from remediator.store.transaction import Reader, Tx
from remediator.store.work import Due
from selfheal.common.clock import Clock

T = TypeVar("T")

IN_MEMORY = Path(":memory:")
"""SQLite's own name of a database that has no file."""

Told = Callable[[Event], None]
Decided = Callable[[int, Sequence[GuardAnswer], float], None]
Added = Callable[[int, int, Frozen], None]


class MemoryTx(Tx):
    """A transaction whose history is heard and not kept."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self.events: list[Event] = []
        self.decisions: list[tuple[int, Sequence[GuardAnswer], float]] = []
        self.added: list[tuple[int, int, Frozen]] = []
        self._numbers = itertools.count(1)

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
        """Note an event for the listener, and return its number."""
        number = next(self._numbers)
        self.events.append(Event(number, now, remediation_id, occurrence_id, kind, old, new, reason, detail or {}))
        return number

    def add_remediation(self, occurrence_id: int, frozen: Frozen, now: float) -> int:
        """Store it as the daemon does, and note what is frozen for the listener."""
        number = super().add_remediation(occurrence_id, frozen, now)
        self.added.append((number, occurrence_id, frozen))
        return number

    def add_decision(self, id: int, answers: Sequence[GuardAnswer], now: float) -> int:
        """Note a decision for the listener."""
        self.decisions.append((id, answers, now))
        return 0

    def add_evidence(self, id: int, phase: str, body: Json, now: float) -> int:
        """Keep nothing: nobody will look it up."""
        del id, phase, body, now
        return 0

    def add_delivery(self, now: float, receiver: str, alerts: int, truncated: int, version: str) -> int:
        """Keep nothing: nobody will look it up."""
        del now, receiver, alerts, truncated, version
        return 0


class MemoryStore(Store):
    """Reads and writes at once, on the caller's thread; belongs to the one thread that made it."""

    def __init__(self, clock: Clock, breaker: BreakerLimits = DEFAULT_LIMITS) -> None:
        # nothing of the daemon's store is opened: neither its folder, nor its lock, nor its writer's thread
        self._connection = open_writer(IN_MEMORY)
        # one transaction from beginning to end: what goes wrong in it ends the replay
        self._connection.execute("BEGIN")
        self._tx = MemoryTx(self._connection, clock)
        self._tx.breaker_limits = breaker
        self._listener: Callable[[list[Due]], None] | None = None
        self.added: Added | None = None
        """Hears the number, the occurrence and what is frozen of every new remediation."""
        self.told: Told | None = None
        """Hears every event of a committed transaction, in order."""
        self.decided: Decided | None = None
        """Hears what all guards said at each decision of a committed transaction."""

    @property
    def on_due(self) -> Callable[[list[Due]], None] | None:
        """Called after each commit with the work rows it changed."""
        return self._listener

    @on_due.setter
    def on_due(self, listener: Callable[[list[Due]], None] | None) -> None:
        self._listener = listener

    @property
    def errors(self) -> int:
        """None: what goes wrong here is raised."""
        return 0

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` and return its result. Raise what it raised, and then the store is of no more use."""
        tx = self._tx
        tx.changed, tx.events, tx.decisions, tx.added = [], [], [], []
        tx.begin(0)
        result = work(tx)
        self._tell(tx)
        return result

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Give a reader of what is stored now."""
        yield self._tx

    def give_up_ballast(self) -> bool:
        """There is none."""
        return False

    def restore_ballast(self) -> bool:
        """There is none to restore."""
        return True

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()

    def _tell(self, tx: MemoryTx) -> None:
        changed, events, decisions, added = tx.changed, tx.events, tx.decisions, tx.added
        if self._listener is not None and changed:
            self._listener(changed)
        if self.added is not None:
            for number, occurrence_id, frozen in added:
                self.added(number, occurrence_id, frozen)
        # what follows from a decision comes after it
        if self.decided is not None:
            for id, answers, at in decisions:
                self.decided(id, answers, at)
        if self.told is not None:
            for event in events:
                self.told(event)
