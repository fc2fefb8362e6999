"""No sequence of alerts, clocks, crashes and interleaved workers passes a limit, as an independent model counts.

The store, the guards and the transaction that decides are the real ones; only what is asked of the world is made up.
The model counts in time that really passed and knows nothing of how the store keeps what it counts.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from remediator import decide
from remediator.model import (
    ALL_PLAYBOOKS,
    LOCKED,
    Alert,
    BlastRadius,
    BreakerLimits,
    Frozen,
    Group,
    Limits,
    Mode,
    Rate,
    Reason,
    Remediation,
    State,
    StepState,
    Target,
    Verdict,
)
from remediator.playbooks.match import Site
from remediator.store import Tx
from tests.deciding import STEP, Deciding, store_end

COOLDOWN = 60.0
RATES = (Rate(2, 300.0), Rate(3, 1_500.0))
HOST_RATES = (Rate(4, 400.0),)
BREAKER = BreakerLimits(window=2_000.0, minimum=3, share=0.5, open_for=500.0)
REPEATS = Rate(2, 1_800.0)
RADIUS = BlastRadius(by=("zone",), count=2, window=700.0)
PLAYBOOKS = ("one", "two")
ITEMS = ("a", "b", "c")
ENDS = ("fixed", "watched", "failed", "unproven", "not asked", "doubt", "crash of its thread")
FAILURES = {"failed", "unproven", "recurred", "given up"}


def frozen_of(playbook: str, item: str, number: int) -> Frozen:
    target = Target("h1", "item", item)
    return Frozen(
        playbook=playbook,
        digest="d",
        mode=Mode.AUTO,
        target=target,
        # one playbook locks the host, the other its target
        lock_key="host/h1" if playbook == "one" else f"target/{target}",
        labels={"alertname": "Sick", "instance": "h1:9100", "item": item, "zone": "z"},
        starts_at=0.0,
        fingerprint=f"f{number}",
        generator_url="",
        # what the other playbook touches counts for the radius of this one
        limits=Limits(COOLDOWN, RATES, hold_at_most=1e9, blast_radius=RADIUS if playbook == "two" else None),
        host_rates=HOST_RATES,
        steps=(STEP,),
        verify=None,
    )


@dataclass
class Fuse:
    """The model's circuit breaker: a list of what ended, and a state that is a few words."""

    open_since: float | None = None
    trial: int | None = None
    trying: bool = False
    """It has been open for its time and lets one try at a time."""
    ends: list[tuple[float, bool, int]] = field(default_factory=list)
    """(time, failed, remediation) since it closed last."""

    def may_begin(self, number: int, now: float) -> bool:
        if self.open_since is None:
            return True
        if self.trying:
            return self.trial in (None, number)
        return now - self.open_since >= BREAKER.open_for

    def begins(self, number: int) -> None:
        if self.open_since is not None:
            self.trying, self.trial = True, number

    def ended(self, number: int, failed: bool | None, now: float) -> None:
        """`failed` is None where nothing was shown."""
        if failed is not None:
            self.ends = [each for each in self.ends if each[2] != number] + [(now, failed, number)]
        if self.trial == number:
            self.trial = None
            if failed:
                self.trying, self.open_since = False, now
            elif failed is False:
                self.close()
            return
        counted = [bad for at, bad, _ in self.ends if now - at < BREAKER.window]
        enough = len(counted) >= BREAKER.minimum and sum(counted) >= BREAKER.share * len(counted)
        if failed is not None and self.open_since is None and enough:
            self.open_since = now

    def close(self) -> None:
        self.open_since, self.trial, self.trying, self.ends = None, None, False, []


class LimitsHold(Deciding):
    """What may happen to a remediator, in any order."""

    breaker, repeats, group = BREAKER, REPEATS, Group(None, None)

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0
        self.starts: list[tuple[float, str, str]] = []
        self.touches: dict[str, list[float]] = defaultdict(list)
        self.in_flight: dict[int, str] = {}
        """The target of each remediation whose effect began and whose end is not told."""
        self.healed: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        self.fuses = {name: Fuse() for name in (*PLAYBOOKS, ALL_PLAYBOOKS)}
        self.open()

    def open(self) -> None:
        super().open()
        self.parts.in_force = lambda _name: SimpleNamespace(digest="d", mode=Mode.AUTO)
        self.parts.site = Site({}, {}, Mode.AUTO)

    # What may happen.

    @rule(playbook=st.sampled_from(PLAYBOOKS), item=st.sampled_from(ITEMS))
    def alert(self, playbook: str, item: str) -> None:
        self.numbers += 1
        frozen = frozen_of(playbook, item, self.numbers)
        now = self.clock.now()

        def store(tx: Tx) -> None:
            number, _ = tx.open_occurrence(Alert("firing", frozen.labels, {}, now, frozen.fingerprint), now)
            tx.schedule("remediation", tx.add_remediation(number, frozen, now), now)

        self.store.write(store)

    @rule(random=st.randoms(use_true_random=False))
    def decide_all_at_once(self, random: Random) -> None:
        """Every worker decides at the same moment, in whatever order the writer takes them."""
        waiting = self.found(State.PENDING, State.HELD)
        random.shuffle(waiting)
        self.decide(waiting)

    @rule(choice=st.integers(0, 9))
    def decide_one(self, choice: int) -> None:
        waiting = self.found(State.PENDING, State.HELD)
        if waiting:
            self.decide([waiting[choice % len(waiting)]])

    @rule(
        choice=st.integers(0, 9),
        how=st.sampled_from(ENDS),
    )
    @precondition(lambda self: self.found(State.RUNNING))
    def effect_ends(self, choice: int, how: str) -> None:
        running = self.found(State.RUNNING)
        remediation = running[choice % len(running)]
        self.store.write(lambda tx: self.put_end(tx, remediation, how))
        self.judged(remediation, how)

    @rule(
        playbook=st.sampled_from(PLAYBOOKS), item=st.sampled_from(ITEMS), how=st.sampled_from(ENDS),
        seconds=st.sampled_from([0, 30, 59, 60, 300, 500]), times=st.integers(1, 4),
    )  # fmt: skip
    def one_after_the_other(self, playbook: str, item: str, how: str, seconds: int, times: int) -> None:
        """The usual course: an alert, a decision, an effect, an end, and some time; again and again."""
        for _ in range(times):
            self.alert(playbook, item)
            self.decide(self.found(State.PENDING, State.HELD))
            for _ in range(len(self.found(State.RUNNING))):
                self.effect_ends(0, how)
            self.clock.advance(seconds)

    @rule(how=st.sampled_from(ENDS), seconds=st.sampled_from([150, 300, 310, 350, 400]))
    def one_target_after_the_other(self, how: str, seconds: int) -> None:
        """The same fault walks through the whole group, slowly enough for every rate."""
        for item in ITEMS:
            self.one_after_the_other("two", item, how, seconds, 1)

    @rule(choice=st.integers(0, 9), how=st.sampled_from(["recurred", "held"]))
    @precondition(lambda self: self.found(State.WATCHING))
    def watch_ends(self, choice: int, how: str) -> None:
        watching = self.found(State.WATCHING)
        remediation = watching[choice % len(watching)]
        state, verdict = (
            (State.INEFFECTIVE, Verdict.RECURRED) if how == "recurred" else (State.SUCCEEDED, Verdict.FIXED)
        )
        self.store.write(
            lambda tx: tx.move(remediation.id, state, Reason(how_reason(how)), self.clock.now(), verdict=verdict)
        )
        self.judged(remediation, how)

    @rule(choice=st.integers(0, 9), how=st.sampled_from(["not done", "given up", "done"]))
    @precondition(lambda self: self.found(State.UNKNOWN))
    def settle(self, choice: int, how: str) -> None:
        unknown = self.found(State.UNKNOWN)
        remediation = unknown[choice % len(unknown)]
        now = self.clock.now()
        if how == "not done":
            settled = {"settled": {"who": "kim", "at": now}}
            self.store.write(lambda tx: tx.set_proof(remediation.id, remediation.proof | settled))
            self.decide([replace(remediation, proof=remediation.proof | settled)], settled=True)
            return

        def store(tx: Tx) -> None:
            if how == "given up":
                tx.move(remediation.id, State.FAILED, Reason.GIVEN_UP, now)
            else:
                tx.move(remediation.id, State.VERIFYING, Reason.SETTLED_DONE, now)
                tx.move(remediation.id, State.SUCCEEDED, Reason.PROOF_NOT_ASKED, now, verdict=Verdict.NOT_ASKED)

        self.store.write(store)
        self.judged(remediation, "not asked" if how == "done" else how)

    @rule(seconds=st.one_of(st.integers(1, 70), st.integers(100, 600), st.integers(1_000, 2_100)))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(away=st.integers(0, 700), jump=st.sampled_from([0, 0, -3_000, 900, 2_500]))
    def crash(self, away: int, jump: int) -> None:
        """The process dies; while it is away time passes and the clock may be set. What it had begun is unknown."""
        self.store.write(lambda tx: tx.clock_jumps())
        self.come_back(away, jump)

    @rule(name=st.sampled_from((*PLAYBOOKS, ALL_PLAYBOOKS)))
    def reset(self, name: str) -> None:
        before = self.store.write(lambda tx: tx.reset_breaker(name, "kim", "mended", self.clock.now()))
        if before is not None:
            self.fuses[name].close()

    # How the real parts are driven.

    def decide(self, waiting: list[Remediation], settled: bool = False) -> None:
        """All have asked before the first decides: the writer takes them one after the other, as it takes workers."""
        for each in waiting:
            self.asked.setdefault(each.id, self.look(each))
        held = {each.frozen.lock_key: each.id for each in self.found(*LOCKED)}
        for each in waiting:
            self.decide_it(each, settled)
            with self.store.read() as reader:
                found = reader.remediation(each.id)
            if found is not None and found.state is State.RUNNING:
                self.begins(found, held, settled)

    def decide_it(self, remediation: Remediation, settled: bool) -> None:
        self.decide_by(decide.decide_settled if settled else decide.decide, remediation)

    def put_end(self, tx: Tx, remediation: Remediation, how: str) -> None:
        now, number = self.clock.now(), remediation.id
        if how == "crash of its thread":
            tx.store_result(tx.steps(number)[-1].id, StepState.UNKNOWN, None, now)
            tx.move(number, State.UNKNOWN, Reason.OUTCOME_UNKNOWN, now)
            return
        ends = {
            "fixed": (State.SUCCEEDED, Reason.PROVEN, Verdict.FIXED),
            "watched": (State.WATCHING, Reason.PROVEN, Verdict.FIXED),
            "unproven": (State.INEFFECTIVE, Reason.PROVEN, Verdict.UNPROVEN),
            "not asked": (State.SUCCEEDED, Reason.PROVEN, Verdict.NOT_ASKED),
        }
        store_end(tx, remediation, how, now, ends)

    # The model.

    def judged(self, remediation: Remediation, how: str) -> None:
        now = self.clock.monotonic()
        frozen = remediation.frozen
        if how in ("doubt", "crash of its thread"):
            return
        self.in_flight.pop(remediation.id, None)
        failed = True if how in FAILURES else None if how == "not asked" else False
        if failed is False and how != "held":
            self.healed[frozen.playbook, str(frozen.target)][remediation.id] = now
        for name in (frozen.playbook, ALL_PLAYBOOKS):
            self.fuses[name].ended(remediation.id, failed, now)

    def begins(self, remediation: Remediation, held: dict[str, int], again: bool) -> None:
        """An effect may begin now: no limit is exceeded by it, whatever the remediator thought."""
        now = self.clock.monotonic()
        frozen, number = remediation.frozen, remediation.id
        target = str(frozen.target)
        assert held.get(frozen.lock_key, number) == number, "two hold one lock"
        held[frozen.lock_key] = number
        assert all(now - at >= COOLDOWN for at in self.touches[target]), "the cooldown was cut short"
        if not again:
            scopes = [
                (RATES, [at for at, _, where in self.starts if where == target]),
                (RATES, [at for at, playbook, _ in self.starts if playbook == frozen.playbook]),
                (HOST_RATES, [at for at, _, _ in self.starts]),
            ]
            for rates, starts in scopes:
                for limit in rates:
                    used = sum(now - at < limit.window for at in starts)
                    assert used < limit.count, f"{used} of {limit} were used already"
            self.starts.append((now, frozen.playbook, target))
        if frozen.limits.blast_radius is not None:
            near = {where for where, times in self.touches.items() if any(now - at < RADIUS.window for at in times)}
            touched = (near | set(self.in_flight.values())) - {target}
            assert RADIUS.count is not None and len(touched) < RADIUS.count, f"{sorted(touched)} are touched already"
        self.in_flight[number] = target
        healed = [at for at in self.healed[frozen.playbook, target].values() if now - at < REPEATS.window]
        assert len(healed) < REPEATS.count, "healed again and again"
        for name in (frozen.playbook, ALL_PLAYBOOKS):
            assert self.fuses[name].may_begin(number, now), f"the breaker {name} lets nobody begin"
            self.fuses[name].begins(number)
        self.touches[target].append(now)

    @invariant()
    def one_holder_per_lock(self) -> None:
        keys = [each.frozen.lock_key for each in self.found(*LOCKED)]

        assert len(keys) == len(set(keys))

    @invariant()
    def the_breakers_are_as_open_as_the_model_says(self) -> None:
        with self.store.read() as reader:
            shut = {each.name for each in reader.breakers() if each.state != "closed"}

        assert {name for name, fuse in self.fuses.items() if fuse.open_since is not None} <= shut


def how_reason(how: str) -> str:
    return "recurred" if how == "recurred" else "held_watch"


TestLimitsHold = LimitsHold.TestCase
# a busy machine takes its time for so many writes
TestLimitsHold.pytestmark = [pytest.mark.timeout(600)]  # type: ignore[attr-defined]
TestLimitsHold.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_workers_in_threads_pass_no_limit_together() -> None:
    """Eight threads decide at once, which begin together: no more begin than one rate allows, and one per lock."""
    machine = LimitsHold()
    try:
        for number in range(8):
            machine.alert("two", ITEMS[number % 3])
        waiting = machine.found(State.PENDING)
        together = threading.Barrier(len(waiting))
        broken: list[BaseException] = []

        def work(remediation: Remediation) -> None:
            try:
                machine.asked[remediation.id] = machine.look(remediation)
                together.wait(10)
                machine.decide_it(remediation, False)
            except BaseException as error:  # noqa: BLE001  a thread's own error would be nobody's
                broken.append(error)

        threads = [threading.Thread(target=work, args=(each,)) for each in waiting]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        begun = machine.found(State.RUNNING)

        assert broken == []
        # of the playbook two within five minutes, each on a target of its own
        assert len(begun) == 2
        assert len({each.frozen.lock_key for each in begun}) == 2
    finally:
        machine.teardown()
