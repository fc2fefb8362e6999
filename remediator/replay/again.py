"""Alerts that stay on are decided again, at the times at which reconciliation would find them, after the same rests."""

from __future__ import annotations

import math
from collections.abc import Callable

from remediator.model import State
from remediator.parts import Parts
from remediator.receive import TRIES_THAT_COUNT, rest_after, to_be_decided_again
from remediator.replay.looks import LEAST

PutOff = Callable[[float, Callable[[], None]], None]
"""Let something be done at a time."""


class Again:
    """Looks at an occurrence whose fate was told, as long as another try may mend it."""

    def __init__(self, parts: Parts, begins: float, put_off: PutOff) -> None:
        self._parts = parts
        self._begins = begins
        self._put_off = put_off
        self._looking: set[int] = set()

    def look(self, occurrence_id: int, at: float) -> None:
        """An occurrence got a fate: it is looked at when reconciliation comes next."""
        self._look_at(occurrence_id, self._next(at))

    def _next(self, at: float) -> float:
        every = self._parts.config.reconcile
        return self._begins + (math.floor((at - self._begins) / every) + 1) * every

    def _look_at(self, occurrence_id: int, at: float) -> None:
        if occurrence_id not in self._looking:
            self._looking.add(occurrence_id)
            self._put_off(at, lambda: self._decide(occurrence_id))

    def _decide(self, occurrence_id: int) -> None:
        self._looking.discard(occurrence_id)
        now = self._parts.clock.now()
        with self._parts.store.read() as reader:
            occurrence = reader.occurrence(occurrence_id)
            if occurrence is None or not to_be_decided_again(occurrence):
                return
            newest = reader.newest_tries(occurrence_id, TRIES_THAT_COUNT) if occurrence.fate == State.SKIPPED else []
        rested = newest[0].created_at + rest_after(newest) if newest else now
        if now < rested - LEAST:
            self._look_at(occurrence_id, max(self._next(now), self._next(rested - LEAST)))
        else:
            self._parts.store.write(lambda tx: tx.reconsider(occurrence_id, now))
