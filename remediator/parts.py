"""What the stages work with, built once by `app` and handed to each of them; no stage builds or looks up its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from remediator.alarm import Alarm
from remediator.config import Config
from remediator.errors import SourceUnavailable, StoreUnavailable
from remediator.evidence import Evidence
from remediator.model import (
    Action,
    Breaker,
    Dispatch,
    Frozen,
    FrozenStep,
    History,
    Monitoring,
    Occurrence,
    OpenWindow,
    Outcome,
    Pause,
    Playbook,
    RateUse,
    Reached,
    Reason,
    Remediation,
    State,
    Step,
    StepState,
    Touched,
    nothing_happens,
)
from remediator.playbooks.match import Site
from remediator.store import Reader, Store, Tx, began
from selfheal.common.clock import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

JUMP = 30.0
"""Seconds by which the wall clock must leave the monotonic one to count as a jump."""
MOST_WAITING = 6
"""Workers that wait for probes at the same time, of the eight there are: the others must go on repairing."""
PAGE = 200
"""Occurrences looked at, and written, at once."""
SUPPRESSED_LOOK = 3_600.0
"""Seconds between two looks at an alert that stayed silenced or inhibited for as long as it may be held; that it is no
more is seen sooner by reconciliation, or told by a delivery."""
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

    def __init__(self, clock: Clock, seen: Iterable[tuple[float, float]] = ()) -> None:
        """`seen` are those that an earlier process met, as `ahead` returns them."""
        self._clock = clock
        self._lock = threading.Lock()
        self._offset = clock.now() - clock.monotonic()
        self._seen: list[tuple[float, float]] = list(seen)

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
    pause: Callable[[Frozen], Pause | None]
    """What keeps back this playbook on this target; read from the files at every call."""
    window: Callable[[Frozen], OpenWindow | None]
    """The maintenance window that is open for it now."""
    clock_jumped: Callable[[], bool]
    monitoring: Callable[[Frozen], Monitoring]
    """What is known against the monitoring behind an alert; asked once a second at most."""
    jumps: Jumps
    counters: Counters
    alarm: Alarm
    """Tells people of trouble with the remediator itself."""
    started: float
    """On the monotonic clock."""
    reached: Reached = nothing_happens
    heard: dict[str, float] = field(default_factory=dict)
    """When the watchdog's alert, or a self-test's, was last delivered, on the monotonic clock, by its name."""
    unsaved: dict[int, Unsaved] = field(default_factory=dict)
    """By remediation."""
    begun: set[int] = field(default_factory=set)
    """Step rows whose effect this process has begun: met again without a result, their outcome is open."""
    probing: set[threading.Thread] = field(default_factory=set)
    """What runs probes just now, or did not end at its deadline."""
    may_wait: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(MOST_WAITING))
    """Taken by each worker that waits for a probe."""
    malformed: dict[int, float] = field(default_factory=dict)
    """Malformed alerts stored lately: a hash of each, and when on the monotonic clock."""
    reloaded: threading.Event = field(default_factory=threading.Event)
    """Set when playbooks and policy are new: what was final until then is decided again."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set when the program ends: no further effect begins."""

    def in_force(self, name: str) -> Playbook | None:
        """Return the playbook of this name as it was last read, on the rung that it has earned, or None."""
        return next((each for each in self.playbooks() if each.name == name), None)

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


def open_pages(parts: Parts) -> Iterator[list[Occurrence]]:
    """Yield the open occurrences page by page: a storm's thousands are neither held nor written at once."""
    after = 0
    while True:
        with parts.store.read() as reader:
            page = reader.open_occurrences(after, PAGE)
        if not page:
            return
        after = page[-1].id
        yield page


def still_suppressed(parts: Parts, occurrence: Occurrence) -> bool:
    """Say whether an open occurrence was held until its time was over, and is silenced or inhibited still.

    If no Alertmanager answers it is not: then the guards say so.
    """
    if (occurrence.fate, occurrence.reason) != (State.SKIPPED, Reason.HOLD_EXPIRED):
        return False
    try:
        return parts.evidence.suppressed(occurrence.alert)
    except SourceUnavailable:
        return False


def past(parts: Parts, tx: Reader, remediation: Remediation, now: float) -> History:
    """Return what the store knows, its times as the clock counts now: a jump ahead shortens no cooldown and no rate."""
    frozen = remediation.frozen
    history = replace(
        tx.history(remediation, now),
        breakers=tuple(
            _breaker_across(parts.jumps, breaker)
            for breaker in tx.breakers_over(frozen.playbook)
            if breaker.trial != remediation.id
        ),
        healed=tx.healed(frozen.playbook, str(frozen.target), parts.config.repeats, now),
        rung=tx.rung(frozen.playbook, frozen.digest),
    )
    jumps = parts.jumps.ahead()
    if not jumps:
        return history
    effect = history.last_effect_at
    return replace(
        history,
        last_effect_at=None if effect is None else parts.jumps.moved(effect),
        touched=_touched_across(tx, remediation, history, jumps, now),
        rates=tuple(_rate_across(tx, remediation, number, use, jumps, now) for number, use in enumerate(history.rates)),
    )


def _breaker_across(jumps: Jumps, breaker: Breaker) -> Breaker:
    """The time that a breaker stays open begins when it opened, however the clock was moved since."""
    if breaker.tries_at is None:
        return breaker
    return replace(breaker, tries_at=breaker.tries_at + jumps.moved(breaker.changed_at) - breaker.changed_at)


def _touched_across(
    tx: Reader, remediation: Remediation, history: History, jumps: tuple[tuple[float, float], ...], now: float
) -> tuple[Touched, ...]:
    """As for a rate: the window of a blast radius begins earlier by each jump within it."""
    radius = remediation.frozen.limits.blast_radius
    ahead = 0.0 if radius is None else now - radius.window - began(radius.window, now, jumps)
    if not ahead:
        return history.touched
    return tuple(
        replace(each, leaves_at=None if each.leaves_at is None else each.leaves_at + ahead)
        for each in tx.touched(remediation, now - ahead)
    )


def _rate_across(
    tx: Reader, remediation: Remediation, number: int, use: RateUse, jumps: tuple[tuple[float, float], ...], now: float
) -> RateUse:
    """Count a rate over its window as it really passed: a jump within it makes it begin that much earlier."""
    ahead = now - use.rate.window - began(use.rate.window, now, jumps)
    if not ahead:
        return use
    shifted = tx.history(remediation, now - ahead).rates[number]
    return replace(shifted, frees_at=shifted.frees_at + ahead)
