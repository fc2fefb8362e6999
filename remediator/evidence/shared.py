"""One answer for many askers: while a question is under way, those who ask it too wait for its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from remediator.errors import SourceUnavailable
from selfheal.common.clock import Clock

Value = TypeVar("Value")

FAILURE_AGE = 1.0
"""Seconds for which a failure is everybody's answer."""
CLOCK_SET = 0.2
"""Seconds that wall time and monotonic time may drift apart while an answer is young; more means a clock was set."""


@dataclass(slots=True)
class _Flight(Generic[Value]):
    """One question put, or being put."""

    asked_at: float
    started: float
    ended: threading.Event = field(default_factory=threading.Event)
    value: Value | None = None
    error: SourceUnavailable | None = None


@dataclass(frozen=True, slots=True)
class Answered(Generic[Value]):
    """An answer, and the wall time at which it was asked for."""

    asked_at: float
    value: Value


class Shared(Generic[Value]):
    """Answers by key, each at most `max_age` seconds old when it is given to somebody new."""

    def __init__(self, clock: Clock, max_age: float) -> None:
        self._clock = clock
        self._max_age = max_age
        self._lock = threading.Lock()
        self._flights: dict[Hashable, _Flight[Value]] = {}

    def get(self, key: Hashable, fresh_after: float, ask: Callable[[], Value]) -> Answered[Value]:
        """Return an answer asked for at or after `fresh_after`, by asking if there is none. Raise SourceUnavailable.

        A failure is shared like an answer, so that a dead source is not asked by everybody in turn.
        """
        # a time that the clock has not reached (it may have been set back) cannot be waited for: now is as fresh
        fresh_after = min(fresh_after, self._clock.now())
        while True:
            flight, mine = self._join(key, fresh_after)
            if mine:
                self._fly(flight, ask)
            else:
                flight.ended.wait()
            if mine or self._new_enough(flight, fresh_after):
                return self._landed(flight)

    def peek(self, key: Hashable, fresh_after: float) -> Answered[Value] | None:
        """Return an answer that is there already and fresh enough, or None."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None or not self._fit(flight, fresh_after) or not flight.ended.is_set() or flight.error:
                return None
        return self._landed(flight)

    def _join(self, key: Hashable, fresh_after: float) -> tuple[_Flight[Value], bool]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and (not flight.ended.is_set() or self._fit(flight, fresh_after)):
                return flight, False
            self._forget()
            flight = _Flight(asked_at=self._clock.now(), started=self._clock.monotonic())
            self._flights[key] = flight
            return flight, True

    def _fly(self, flight: _Flight[Value], ask: Callable[[], Value]) -> None:
        try:
            flight.value = ask()
        except SourceUnavailable as error:
            flight.error = error
        except BaseException as error:
            # those who wait must not wait for ever, whatever happened to the one who asked
            flight.error = SourceUnavailable("prometheus", f"the question failed ({error.__class__.__name__})")
            raise
        finally:
            flight.ended.set()

    def _landed(self, flight: _Flight[Value]) -> Answered[Value]:
        if flight.error is not None:
            raise SourceUnavailable(flight.error.source, flight.error.detail)
        value = flight.value
        assert value is not None
        return Answered(flight.asked_at, value)

    def _fit(self, flight: _Flight[Value], fresh_after: float) -> bool:
        longest = self._max_age if flight.error is None else min(self._max_age, FAILURE_AGE)
        return self._new_enough(flight, fresh_after) and self._clock.monotonic() - flight.started <= longest

    def _new_enough(self, flight: _Flight[Value], fresh_after: float) -> bool:
        """Say whether it was asked at or after `fresh_after`, by a wall clock that nobody has set since."""
        set_by = (self._clock.now() - flight.asked_at) - (self._clock.monotonic() - flight.started)
        return flight.asked_at >= fresh_after and abs(set_by) <= CLOCK_SET

    def _forget(self) -> None:
        now = self._clock.monotonic()
        for key in [
            key
            for key, flight in self._flights.items()
            if flight.ended.is_set() and now - flight.started > self._max_age
        ]:
            del self._flights[key]
