"""Runs one scenario: the recorded alerts are delivered, and the product's own stages decide, on a clock that jumps.

Time goes from one event to the next: what the recording tells, what the store says is due, what a person would answer.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from remediator import approvals, consider, pipeline, receive
from remediator.model import ENDS, ApprovalState, Event, Frozen, Json, Reason, State
from remediator.replay.again import Again
from remediator.replay.evidence import Known, Recorded
from remediator.replay.passing import Passing
from remediator.replay.queue import Queue
from remediator.replay.recording import Recording
from remediator.replay.stage import Setting, SimulatedClock, parts_of
from remediator.replay.tally import Tally
from remediator.replay.world import Healing, Turn, World
from remediator.store import Due
from remediator.store.memory import MemoryStore
from remediator.trust import Rungs

RECEIVER = "replay"
PERSON = "replay"
"""Who is recorded for an answer that is only assumed."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is assumed of everything that history cannot tell."""

    healing: Healing
    approve_after: float | None = None
    """Seconds after which a person says yes; None: nobody ever answers."""
    asks_groups: bool = False
    """Groups are asked about at each time, so that what is said of them changes unannounced."""
    passes_over: bool = True
    """Leave out what would only be answered as before; False is slow, and for proving that it makes no difference."""

    def to_json(self) -> Json:
        """Return what is assumed as plain values."""
        return {"healing": self.healing.value, "approved_after_seconds": self.approve_after}


class Simulation:
    """One scenario over one recording; `run` is called once."""

    def __init__(self, recording: Recording, setting: Setting, known: Known, scenario: Scenario) -> None:
        self._recording = recording
        self._scenario = scenario
        self._world = World(recording, setting.config.ignore_labels)
        self._turns = deque(self._world.turns())
        self._begins = min([recording.begins, *(turn.at for turn in itertools.islice(self._turns, 1))])
        self._clock = SimulatedClock(self._begins)
        self._store = MemoryStore(self._clock, setting.config.breaker)
        evidence = Recorded(self._world, known, self._clock, scenario.healing, setting.config.scrape_interval)
        self._rungs = Rungs(self._store)
        self._parts = parts_of(setting, self._store, evidence, self._clock, self._rungs)
        self._queue = Queue()
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._again = Again(self._parts, self._begins, self._put_off)
        self._frozen: dict[int, Frozen] = {}
        self._passing = Passing(self._parts, self._world, self._queue, scenario.asks_groups)
        self._heals: deque[str] = deque()
        self.tally = Tally(self._begins)

    def run(self) -> Tally:
        """Go through the whole recording, and return what came of it."""
        self._store.on_due = self._learn
        self._store.added, self._store.told, self._store.decided = self._added, self._told, self.tally.decided
        ends = self._recording.ends
        try:
            while (at := self._next()) <= ends:
                self._clock.move_to(at)
                self._step(at)
                self._settle()
        finally:
            self._store.close()
        self.tally.over(ends)
        return self.tally

    def _next(self) -> float:
        turn = self._turns[0].at if self._turns else math.inf
        later = self._later[0][0] if self._later else math.inf
        return min(turn, later, self._queue.next_due())

    def _step(self, now: float) -> None:
        """Do the one thing that comes first: what is told, then what was put off, then what is due."""
        if self._turns and self._turns[0].at <= now:
            told = []
            while self._turns and self._turns[0].at <= now:
                told.append(self._turns.popleft())
            self._deliver(told)
        elif self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        else:
            self._work(*self._queue.first())

    def _settle(self) -> None:
        """Let what just happened have its consequences in the world, and wake whom it may concern."""
        now = self._clock.now()
        while self._heals:
            fingerprint = self._heals.popleft()
            if self._world.on_since(fingerprint) is not None:
                self._deliver([Turn(now, False, fingerprint)])
        self._passing.settle(now)

    def _put_off(self, at: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._later, (at, next(self._numbers), what))

    # What the recording tells.

    def _deliver(self, turns: list[Turn]) -> None:
        now = self._clock.now()
        alerts = []
        for turn in turns:
            if turn.on:
                self._world.begin(turn.fingerprint, now)
                alert = self._world.alert(turn.fingerprint, "firing", turn.at)
                self._passing.began(alert, now)
                alerts.append(alert)
                self.tally.began(alert, turn.at)
            elif (since := self._world.on_since(turn.fingerprint)) is not None:
                self._world.end(turn.fingerprint, now)
                alerts.append(self._world.alert(turn.fingerprint, "resolved", since))
                self.tally.ended()
                self._over(since, now)
        if alerts:
            receive.receive(self._parts, receive.Batch(RECEIVER, tuple(alerts)), now)

    def _over(self, began: float, now: float) -> None:
        """It is no longer one of those that began together: now, or, if it was short, when that span has passed."""
        within = self._parts.config.monitoring.within
        for at in {now, max(now, began + within)}:
            self._put_off(at, partial(self._passing.fewer, began, at))

    # What is due.

    def _work(self, kind: str, id: int) -> None:
        before = self._queue.due_of(kind, id)
        if kind == "occurrence":
            with self._store.read() as reader:
                occurrence = reader.occurrence(id)
            if occurrence is not None and occurrence.closed_at is None:
                self.tally.considering(id, occurrence.alert)
                consider.consider(self._parts, occurrence, self._clock.now())
        else:
            if self._passing.sleeps_on(id, self._clock.now()):
                return
            pipeline.advance(self._parts, id)
        after = self._queue.due_of(kind, id)
        if after is not None and after == before:
            # left as it was: it is done, as the engine takes it
            self._store.write(lambda tx: tx.unschedule(kind, id))
        elif after is not None and kind == "remediation" and self._scenario.passes_over:
            self._passing.pass_over(id, after[0], self._clock.now())

    # What the store tells.

    def _learn(self, changed: list[Due]) -> None:
        for due in changed:
            if due.kind == "remediation":
                # the store says itself when it is asked
                self._passing.told(due.id)
        self._queue.learn(changed)

    def _added(self, number: int, occurrence_id: int, frozen: Frozen) -> None:
        self._frozen[number] = frozen
        self.tally.added(number, occurrence_id, frozen)

    def _told(self, event: Event) -> None:
        self.tally.told(event)
        if event.kind == "fate" and event.occurrence_id is not None:
            self._again.look(event.occurrence_id, event.at)
        elif event.kind == "approval" and event.remediation_id is not None:
            self._asked(event.remediation_id, event)
        elif event.kind == "demoted":
            self._rungs.refresh()
        elif event.kind == "moved" and event.remediation_id is not None and event.new is not None:
            self._moved(event.remediation_id, State(event.new), event)

    def _moved(self, number: int, state: State, event: Event) -> None:
        frozen = self._frozen[number]
        self._passing.moved(number, frozen, state, event)
        self._heal(frozen, state, event)
        if state in ENDS:
            del self._frozen[number]

    def _heal(self, frozen: Frozen, state: State, event: Event) -> None:
        """What every action is assumed to bring about, once it is proven, or at once where nobody asks for proof."""
        proven = state in (State.WATCHING, State.SUCCEEDED) and event.reason is Reason.PROVEN
        unasked = state is State.SUCCEEDED and event.reason is Reason.PROOF_NOT_ASKED
        if self._scenario.healing is Healing.ALL and (proven or unasked):
            self._heals.append(frozen.fingerprint)

    def _asked(self, number: int, event: Event) -> None:
        """A person was asked, or has answered."""
        self._passing.asked(number, self._frozen[number], event)
        after = self._scenario.approve_after
        if event.new == ApprovalState.OPEN and after is not None:
            request, plan_hash = int(event.detail["approval"]), str(event.detail["plan_hash"])
            self._put_off(event.at + after, lambda: self._approve(request, plan_hash))

    def _approve(self, number: int, plan_hash: str) -> None:
        try:
            approvals.approve(self._parts, number, plan_hash, PERSON, RECEIVER)
        except approvals.NotAnswered:
            # it is too late for this one
            return
