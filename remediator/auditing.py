"""Looks after the chain of events while the program runs: keeps its head beside it, and follows it piece by piece."""

from __future__ import annotations

import logging

from remediator.alarm import Alarmed
from remediator.parts import Parts
from remediator.store import Reader
from remediator.store.audit import PAGE, read_head, write_head
from remediator.store.chain import Audit, Checker, Position

logger = logging.getLogger(__name__)

LOOK_AGAIN = 4.0
"""Seconds between two turns: so much of the end could be cut off unseen."""
VERIFY_EVERY = 3_600.0
"""Seconds between the beginnings of two walks through the whole chain."""
UNREADABLE = Position(2**62, b"")
"""Stands for a head that was there and cannot be read: no chain holds it, so a person must look."""


class Auditor:
    """One turn at a time: a page of the chain, then the head."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._checker: Checker | None = None
        self._next_walk = parts.clock.monotonic()
        self._known: Position | None = None
        """The head that stands in the file."""
        self._trusted = False
        """Whether the chain holds the head in the file: before that it is not written over, it is evidence."""

    def turn(self, now: float) -> float:
        """Do one turn; return when the next is due."""
        with self._parts.store.read() as reader:
            found = self._follow(reader)
            head = reader.audit_head()
        if found is not None:
            self._conclude(found, now)
        self._keep(head, now)
        return now + LOOK_AGAIN

    def last(self) -> None:
        """The program ends: keep the head as it is now."""
        with self._parts.store.read() as reader:
            head = reader.audit_head()
        self._keep(head, self._parts.clock.now())

    def _keep(self, head: Position, now: float) -> None:
        if not self._trusted or head == self._known:
            return
        try:
            write_head(self._parts.store.folder, head, now)
            self._known = head
        except OSError as error:
            # a full disk; the next turn tries again, and the former head is still true
            self._parts.counters.count("store_errors")
            logger.warning("audit head not written", extra={"problem": str(error)})

    def _follow(self, reader: Reader) -> Audit | None:
        """Take the next page; return what was found if that was the last, or the head in the file is not met."""
        checker = self._checker
        if checker is None:
            if self._parts.clock.monotonic() < self._next_walk:
                return None
            self._next_walk = self._parts.clock.monotonic() + VERIFY_EVERY
            checker = self._checker = self._begin(reader)
        elif (anchor := reader.audit_anchor()) != checker.anchor and not checker.forget(anchor):
            # what was not followed yet went
            checker = self._checker = self._begin(reader)
        rows = reader.audit_rows(checker.at.id)
        checker.feed(rows)
        if len(rows) == PAGE and checker.problem is None:
            return None
        checker.finish()
        self._checker = None
        return reader.audit_of(checker)

    def _begin(self, reader: Reader) -> Checker:
        checker = Checker(reader.audit_anchor())
        if not self._trusted:
            try:
                self._known = read_head(self._parts.store.folder)
            except ValueError as error:
                logger.error("audit head not readable", extra={"problem": str(error)})
                checker.expect(UNREADABLE)
                return checker
            # one look at its place now, the whole way to it in this and the next turns
            self._trusted = self._known is None or reader.audit_holds(self._known)
        if self._known is not None:
            checker.expect(self._known)
        return checker

    def _conclude(self, found: Audit, now: float) -> None:
        self._parts.counters.observe("audit_broken", float(not found.ok))
        if found.ok:
            self._trusted = True
            self._parts.counters.observe("audit_verified", now)
            self._parts.alarm.over(Alarmed.AUDIT)
            return
        assert found.problem is not None
        self._trusted = False
        self._parts.alarm.tell(Alarmed.AUDIT, problem=found.problem.value, event=found.first_bad)
