"""Finds what may be passed over: what each remediation is held for, and whether that can be another before long.

A question or a look is left out only if it would come to what the last one came to; everything else is asked.
"""

from __future__ import annotations

import math
from dataclasses import replace

from remediator.guards import blast_radius, monitoring
from remediator.model import (
    ENDS,
    Alert,
    Answer,
    ApprovalState,
    Event,
    Facts,
    Frozen,
    History,
    Live,
    Monitoring,
    Reason,
    Remediation,
    State,
)
from remediator.parts import Parts
from remediator.replay.looks import verified_next, watched_next
from remediator.replay.parked import Begun, Hold, Parked, Stir
from remediator.replay.queue import Queue
from remediator.replay.world import World
from remediator.windows import look

BEGUN = frozenset({State.RUNNING, State.VERIFYING, State.WATCHING})
"""States of what has had effects: going into one or out of it may change what others are held for."""
NOTHING_KNOWN = Facts(0.0, 0.0, None, (), None, None, None, None)
NOTHING_DONE = History(None, None, None)


class Passing:
    """Hears what happens to remediations, and says when they are to be asked and looked at next."""

    def __init__(self, parts: Parts, world: World, queue: Queue, asks_groups: bool) -> None:
        """`asks_groups`: what is said of groups changes unannounced, so that whoever depends on it is always asked."""
        self._parts = parts
        self._world = world
        self._queue = queue
        self._asks_groups = asks_groups
        self._states: dict[int, State] = {}
        self._holds: dict[int, Hold] = {}
        self._opening = math.inf
        never = frozenset({Reason.BLAST_RADIUS}) if asks_groups else frozenset[Reason]()
        self._parked = Parked(queue, self._opens, never)
        self._begun = Begun(parts.config.monitoring)
        self._stirred: set[Stir] = set()

    # What happens.

    def began(self, alert: Alert, now: float) -> None:
        """An alert began."""
        if (instance := alert.labels.get("instance")) and self._begun.many(instance, now):
            self._stirred.add(Stir.BEGIN)

    def fewer(self, began: float, now: float) -> None:
        """One that began then counts no more among those that began together."""
        self._parked.fewer(began, self._parts.config.monitoring.within, now)

    def moved(self, number: int, frozen: Frozen, state: State, event: Event) -> None:
        """A remediation moved."""
        self._states[number] = state
        if state is State.HELD and event.reason is not None:
            endless = event.reason is Reason.BLAST_RADIUS and event.detail.get("allowed", 1) < 1
            known = self._holds.get(number) or Hold(frozen, event.reason, event.at)
            self._holds[number] = replace(known, reason=event.reason, endless=endless)
            return
        if {event.old, state} & BEGUN:
            self._stirred.add(Stir.ACT)
        if state in ENDS:
            del self._states[number]
            self._holds.pop(number, None)

    def asked(self, number: int, frozen: Frozen, event: Event) -> None:
        """A person was asked, or has answered."""
        if event.new == ApprovalState.OPEN:
            expires = event.at + self._parts.config.approval_valid_for
            known = self._holds.get(number) or Hold(frozen, Reason.APPROVAL_NEEDED, event.at)
            self._holds[number] = replace(known, expires=expires)
        elif event.new == ApprovalState.GRANTED:
            # the time that the answer took is no time of being held
            self._holds[number] = replace(self._holds[number], since=event.at)

    def told(self, number: int) -> None:
        """Somebody else says when it is asked."""
        self._parked.forget(number)

    def settle(self, now: float) -> None:
        """Wake whom it may concern what just happened."""
        for what in sorted(self._stirred):
            self._parked.stir(what, now)
        self._stirred.clear()

    # What follows.

    def sleeps_on(self, number: int, now: float) -> bool:
        """It is due. If nothing but the monitoring can be another, ask only that guard; say whether it still holds."""
        if (hold := self._parked.awake(number, now)) is None:
            return False
        facts = replace(NOTHING_KNOWN, held_since=hold.since, monitoring=self._parts.monitoring(hold.frozen))
        answer = monitoring.check(hold.frozen, facts, NOTHING_DONE, now)
        if answer.reason is not hold.reason or answer.answer is not Answer.HOLD or answer.until is None:
            return False
        self._queue.put("remediation", number, answer.until)
        self._parked.sleep(number, replace(hold, spare=self._spare(facts.monitoring)), answer.until, now)
        return True

    def pass_over(self, number: int, due: float, now: float) -> None:
        """Leave out the questions and looks from `due` on until the next that can come to something else."""
        state = self._states[number]
        if due <= now:
            return
        if state is State.HELD:
            hold = self._known_of(number, self._holds[number], now)
            if hold is not None:
                self._parked.sleep(number, hold, due, now)
        elif state in (State.VERIFYING, State.WATCHING):
            remediation = self._remediation(number)
            if state is State.WATCHING:
                wanted = watched_next(self._world, remediation, due, now)
            else:
                wanted = verified_next(self._parts, self._world, remediation, due, now)
            if wanted != due:
                self._queue.put("remediation", number, wanted)

    def _known_of(self, number: int, hold: Hold, now: float) -> Hold | None:
        """Return the hold with what is known of its end; None if it ends by itself, and must be asked then."""
        if hold.reason is Reason.BLAST_RADIUS:
            return replace(hold, frees_at=self._frees_at(number, hold.frozen, now))
        if hold.reason is Reason.MONITORING_BROKEN:
            return replace(hold, spare=self._spare(self._parts.monitoring(hold.frozen)))
        if hold.reason is Reason.BREAKER_OPEN and not self._is_tried(hold.frozen):
            return None
        return hold

    def _spare(self, found: Monitoring) -> int:
        """Return how many of those that began together may be over while they are still many."""
        limits = found.limits
        if found.up is None or self._asks_groups:
            return 0
        return found.begun - max(limits.targets, math.ceil(limits.share * found.up))

    def _is_tried(self, frozen: Frozen) -> bool:
        """Say whether only remediations that try decide when it is over: else a breaker's own time does."""
        with self._parts.store.read() as reader:
            return all(breaker.trial is not None for breaker in reader.breakers_over(frozen.playbook))

    def _frees_at(self, number: int, frozen: Frozen, now: float) -> float:
        """Return when a blast radius has room, as its guard says, if nothing is begun or ended meanwhile."""
        radius = frozen.limits.blast_radius
        assert radius is not None
        remediation = self._remediation(number)
        with self._parts.store.read() as reader:
            history = replace(NOTHING_DONE, touched=reader.touched(remediation, now))
        group = self._parts.evidence.group(radius, frozen.labels)
        facts = replace(NOTHING_KNOWN, live=Live(now, True, True, True), group=group)
        frees_at = blast_radius.check(frozen, facts, history, now).detail.get("until")
        return math.inf if frees_at is None else float(frees_at)

    def _opens(self, now: float) -> float:
        """Return when the next maintenance window opens."""
        windows = self._parts.config.windows
        if not windows:
            return math.inf
        if not now < self._opening < math.inf:
            self._opening = min(look(window, now)[1] for window in windows)
        return self._opening

    def _remediation(self, number: int) -> Remediation:
        with self._parts.store.read() as reader:
            remediation = reader.remediation(number)
        assert remediation is not None
        return remediation
