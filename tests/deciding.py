"""What state machines over the deciding transaction share: a real store on a moved clock, and a made-up world.

What they count and what they forbid is their own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from pytest import MonkeyPatch

from remediator import decide, effect
from remediator.model import (
    BreakerLimits,
    Effect,
    Facts,
    FrozenStep,
    Group,
    Live,
    Outcome,
    Plan,
    Rate,
    Reason,
    Remediation,
    State,
    StepState,
    Verdict,
    nothing_happens,
)
from remediator.parts import Jumps
from remediator.store import Store, Tx
from selfheal.common.clock import ManualClock

PLAN = Plan(({"kind": "command", "service": "s", "verb": "restart"},))
STEP = FrozenStep("test.act", 1, Effect.DESTRUCTIVE, False, {}, 30.0)
MEMORY = Path("/dev/shm")


class Deciding(RuleBasedStateMachine):
    """A store, a clock and workers; a machine adds what may happen, and to `parts` what deciding needs besides."""

    breaker: BreakerLimits
    repeats: Rate
    group: Group | None = None
    """What Prometheus says of the group of a blast radius."""

    def __init__(self) -> None:
        super().__init__()
        # every write is synced: in memory that costs nothing, and no power is lost here
        self.folder = tempfile.TemporaryDirectory(prefix="deciding-", dir=MEMORY if MEMORY.is_dir() else None)
        self.clock = ManualClock()
        self.patch = MonkeyPatch()
        self.asked: dict[int, decide.Gathered] = {}
        self.patch.setattr(decide, "gather", self.gather)

    def open(self) -> None:
        """Start, as a process does: what was running is unknown from here on."""
        self.store = Store.open(Path(self.folder.name) / "s", self.clock, breaker=self.breaker)
        self.store.write(lambda tx: effect.recover(tx, self.clock.now()))
        self.parts: Any = SimpleNamespace(
            config=SimpleNamespace(repeats=self.repeats),
            store=self.store,
            clock=self.clock,
            jumps=Jumps(self.clock, self.store.write(lambda tx: tx.clock_jumps())),
            pause=lambda _frozen: None,
            window=lambda _frozen: None,
            record=lambda _steps, work: self.store.write(work),
            reached=nothing_happens,
        )

    def come_back(self, away: float, jump: float = 0.0) -> None:
        """Die, be away while time passes and the clock may be set, and start again."""
        self.store.close()
        self.asked.clear()
        self.clock.advance(away)
        self.clock.jump(jump)
        self.open()

    def teardown(self) -> None:
        self.store.close()
        self.patch.undo()
        self.folder.cleanup()

    # What the world says: always that it is needed. A worker may have asked long before it decides.

    def gather(self, _parts: Any, remediation: Remediation, *_: Any, **__: Any) -> decide.Gathered:
        return self.asked.pop(remediation.id, None) or self.look(remediation)

    def look(self, _remediation: Remediation) -> decide.Gathered:
        now = self.clock.now()
        live = Live(asked_at=now, firing=True, active=True, seen_since_delivery=True)
        facts = Facts(
            asked_at=now, delivered_at=now, pause=None, hosts=("h1",), live=live, rule_problem=None,
            plan={"items": 1}, policy_refusal=None, group=self.group,
        )  # fmt: skip
        return decide.Gathered(facts, PLAN, {})

    def found(self, *states: State) -> list[Remediation]:
        with self.store.read() as reader:
            return [each for each in reader.unfinished_remediations() if each.state in states]

    def decide_by(self, stage: Callable[..., object], remediation: Remediation) -> None:
        """Have one of the real stages decide."""
        with self.store.read() as reader:
            occurrence = reader.occurrence(remediation.occurrence_id)
        assert occurrence is not None
        stage(self.parts, remediation, occurrence, self.clock.now())

    # What may happen to every one of them.

    @rule(choice=st.integers(0, 9))
    def ask_and_wait(self, choice: int) -> None:
        """A worker asks the world, and is slow to decide."""
        waiting = self.found(State.PENDING, State.HELD)
        if waiting:
            chosen = waiting[choice % len(waiting)]
            self.asked[chosen.id] = self.look(chosen)

    @rule(seconds=st.integers(31, 4_000), back=st.booleans())
    def clock_is_set(self, seconds: int, back: bool) -> None:
        self.clock.jump(-seconds if back else seconds)
        # the engine looks at the clock every second: two jumps never come between two looks
        self.parts.jumps.ahead()
        self.store.write(lambda tx: tx.clock_jumps())


Ends = Mapping[str, tuple[State, Reason, Verdict]]


def store_end(tx: Tx, remediation: Remediation, how: str, now: float, ends: Ends) -> None:
    """Store how an effect ended: in doubt, as a failed step, or as `ends` says of what verifying found."""
    number = remediation.id
    last = tx.steps(number)[-1]
    if how == "doubt":
        tx.store_result(last.id, StepState.UNKNOWN, Outcome(False, ()), now)
        tx.move(number, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now)
        return
    tx.store_result(last.id, StepState.FAILED if how == "failed" else StepState.DONE, Outcome(True, ()), now)
    if how == "failed":
        tx.move(number, State.FAILED, Reason.STEP_FAILED, now)
        return
    tx.move(number, State.VERIFYING, Reason.ALLOWED, now)
    state, reason, verdict = ends[how]
    tx.move(number, state, reason, now, verdict=verdict)
