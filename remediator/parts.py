"""What the stages work with, built once by `app` and handed to each of them; no stage builds or looks up its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from remediator.config import Config
from remediator.errors import StoreUnavailable
from remediator.evidence import Evidence
from remediator.model import (
    Action,
    Dispatch,
    FrozenStep,
    History,
    Outcome,
    Pause,
    Playbook,
    RateUse,
    Reached,
    Remediation,
    Step,
    StepState,
    nothing_happens,
)
from remediator.playbooks.match import Site
from remediator.store import Store, Tx
from selfheal.common.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

JUMP = 30.0
"""Seconds by which the wall clock must leave the monotonic one to count as a jump."""
FREES_DISK = "disk."
"""The family of actions that may use the ballast when the disk is full."""
NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR")
"""How SQLite's names for a disk without room begin: some file systems tell it as a failed write."""


class Counters(Protocol):
    """Where a stage counts what it did; the metrics room implements it."""

    def count(self, metric: str, **labels: str) -> None:
        """Add one to the counter `metric`."""
        ...

    def observe(self, metric: str, value: float, **labels: str) -> None:
        """Set the gauge, or add to the histogram, `metric`."""
        ...


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A step's result that the store could not take yet; kept until it does, with its target blocked."""

    step_id: int
    state: StepState
    outcome: Outcome | None
    reason: str


class Jumps:
    """The jumps ahead of the wall clock since the start: what is past is not longer ago because the clock was moved."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._offset = clock.now() - clock.monotonic()
        self._seen: list[tuple[float, float]] = []

    def ahead(self) -> tuple[tuple[float, float], ...]:
        """Return (wall time after it, seconds) of each jump ahead, the earliest first."""
        with self._lock:
            now = self._clock.now()
            offset = now - self._clock.monotonic()
            size, self._offset = offset - self._offset, offset
            if size > JUMP:
                self._seen.append((now, size))
            return tuple(self._seen)

    def moved(self, then: float) -> float:
        """Given a past wall time, return when that was as the clock counts now."""
        for at, size in self.ahead():
            if then < at:
                then += size
        return then


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a stage may use."""

    config: Config
    store: Store
    evidence: Evidence
    clock: Clock
    playbooks: Callable[[], tuple[Playbook, ...]]
    """The ones in force: a reload swaps them."""
    site: Site
    actions: Mapping[str, Action]
    dispatch: Dispatch
    pause: Callable[[], Pause | None]
    clock_jumped: Callable[[], bool]
    jumps: Jumps
    counters: Counters
    reached: Reached = nothing_happens
    unsaved: dict[int, Unsaved] = field(default_factory=dict)
    """By remediation."""
    begun: set[int] = field(default_factory=set)
    """Step rows whose effect this process has begun: met again without a result, their outcome is open."""
    malformed: dict[int, float] = field(default_factory=dict)
    """Malformed alerts stored lately: a hash of each, and when on the monotonic clock."""
    reloaded: threading.Event = field(default_factory=threading.Event)
    """Set when playbooks and policy are new: what was final until then is decided again."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the program ends: no further effect begins."""

    def record(self, steps: Iterable[FrozenStep | Step], work: Callable[[Tx], T]) -> T:
        """Write what concerns these steps. Raise StoreUnavailable if that is not possible now.

        On a full disk the ballast is given up for steps that free space: without it a full disk could not be healed.
        """
        try:
            return self.store.write(work)
        except StoreUnavailable as error:
            what = getattr(error.__cause__, "sqlite_errorname", "")
            if not what.startswith(NO_ROOM) or not any(step.action.startswith(FREES_DISK) for step in steps):
                raise
            if not self.store.give_up_ballast():
                raise
            self.counters.count("store_errors")
            logger.warning("the disk is full: the ballast is given up to record its repair")
            return self.store.write(work)


def past(parts: Parts, tx: Tx, remediation: Remediation, now: float) -> History:
    """Return what the store knows, its times as the clock counts now: a jump ahead shortens no cooldown and no rate."""
    history = tx.history(remediation, now)
    jumps = parts.jumps.ahead()
    if not jumps:
        return history
    effect = history.last_effect_at
    return replace(
        history,
        last_effect_at=None if effect is None else parts.jumps.moved(effect),
        rates=tuple(_rate_across(tx, remediation, number, use, jumps, now) for number, use in enumerate(history.rates)),
    )


def _rate_across(
    tx: Tx, remediation: Remediation, number: int, use: RateUse, jumps: tuple[tuple[float, float], ...], now: float
) -> RateUse:
    """Count a rate over its window as it really passed: a jump within it makes it begin that much earlier."""
    ahead = sum(size for at, size in jumps if now - at < use.rate.window)
    if not ahead:
        return use
    shifted = tx.history(remediation, now - ahead).rates[number]
    return replace(shifted, frees_at=shifted.frees_at + ahead)
