"""No sequence of verdicts, versions, clocks, crashes, promotions and slow workers lets a playbook act above its rung.

The store, the guards, the deciding transaction and the room of trust are the real ones; only what is asked of the world
is made up. An independent model keeps, for each version, its rung and the runs that count, in time that really passed.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from remediator import decide
from remediator.model import (
    Alert,
    BreakerLimits,
    Frozen,
    Limits,
    Mode,
    Playbook,
    Rate,
    Reason,
    Remediation,
    State,
    Step,
    Target,
    Trigger,
    Verdict,
    Verify,
)
from remediator.model import trust as rules
from remediator.playbooks.match import Site
from remediator.store import Tx
from remediator.trust import NotTrusted, Rungs, demote, promote
from tests.deciding import STEP, Deciding, store_end

pytestmark = pytest.mark.timeout(240)

RUNS, SPAN, BOUND = 3, 100.0, 0.4
"""A promotion within a few moves: the numbers are smaller, what is done with them is the same."""
ORDER = [Mode.OBSERVE, Mode.APPROVE, Mode.AUTO]
WITHIN = 10.0
VERSIONS = {"d1": Mode.OBSERVE, "d2": Mode.AUTO, "d3": Mode.APPROVE}
"""Digest and what its file says."""
ENDS = ("fixed", "fixed", "fixed", "unproven", "failed", "worse", "undone as worse", "doubt", "not asked")
VERIFIED = {
    "fixed": (State.WATCHING, Reason.PROVEN, Verdict.FIXED),
    "unproven": (State.INEFFECTIVE, Reason.NOT_PROVEN, Verdict.UNPROVEN),
    "worse": (State.INEFFECTIVE, Reason.WORSENED, Verdict.WORSE),
    "undone as worse": (State.UNDOING, Reason.WORSENED, Verdict.WORSE),
    "not asked": (State.SUCCEEDED, Reason.PROOF_NOT_ASKED, Verdict.NOT_ASKED),
}
"""How verifying ends where an effect was had."""
WATCHES = ("held", "held", "held", "blind", "recurred", "worse")
FREE = Limits(cooldown=0.0, rate=(Rate(10_000, 3_600.0),), hold_at_most=1e9, lock="target")
NEVER = BreakerLimits(minimum=10**9)
"""A circuit breaker would hold back what shall be seen."""


def playbook(digest: str) -> Playbook:
    return Playbook(
        name="heal", title={}, trigger=Trigger("Sick"), mode=VERSIONS[digest], target={}, limits=FREE,
        steps=(Step("test.act", {}),), verify=Verify(within=WITHIN, watch=5.0), otherwise=(), digest=digest,
    )  # fmt: skip


@dataclass
class Version:
    """What the model knows of one version."""

    rung: Mode
    since: int = 0
    """Runs up to this number count no more."""
    runs: dict[Mode, list[tuple[float, bool]]] = field(default_factory=lambda: {mode: [] for mode in Mode})

    def counts(self, number: int, mode: Mode, good: bool, now: float) -> None:
        if number <= self.since:
            return
        self.runs[mode].append((now, good))
        if mode is not Mode.OBSERVE and [each for _, each in self.runs[mode][-5:]].count(False) >= 2:
            self.falls(mode)

    def falls(self, mode: Mode) -> None:
        lower = min(self.rung, mode, key=ORDER.index)
        self.becomes(ORDER[max(0, ORDER.index(lower) - 1)])

    def becomes(self, rung: Mode, newest: int = -1) -> None:
        self.rung, self.runs = rung, {mode: [] for mode in Mode}
        self.since = newest if newest >= 0 else -1

    def may_climb(self, mode: Mode) -> bool:
        runs = self.runs[mode]
        if len(runs) < RUNS or runs[-1][0] - runs[0][0] < SPAN:
            return False
        return lower_end(sum(good for _, good in runs), len(runs)) >= BOUND


def lower_end(good: int, count: int) -> float:
    """Find the interval's lower end by halving: where the share seen lies 1.96 deviations above the true one."""
    low, high = 0.0, good / count
    for _ in range(60):
        middle = (low + high) / 2
        if good / count - middle > 1.959963984540054 * math.sqrt(middle * (1 - middle) / count):
            low = middle
        else:
            high = middle
    return low


class NeverAbove(Deciding):
    """What may happen to one playbook, in any order."""

    breaker, repeats = NEVER, Rate(10_000, 1_000.0)

    def __init__(self) -> None:
        super().__init__()
        for name, value in (("RUNS", RUNS), ("SPAN", SPAN), ("BOUND", BOUND)):
            self.patch.setattr(rules, name, value)
        self.judged: set[int] = set()
        self.doubted: set[int] = set()
        self.observed: dict[int, float] = {}
        self.versions = {digest: Version(mode) for digest, mode in VERSIONS.items()}
        self.digest, self.highest = "d1", Mode.AUTO
        self.alerts = 0
        self.newest = 0
        self.open()

    def open(self) -> None:
        super().open()
        self.rungs = Rungs(self.store)
        self.read()
        self.parts.reloaded = threading.Event()
        self.parts.playbooks = lambda: self.rungs.in_force(self.files)
        self.parts.in_force = lambda _name: self.rungs.in_force(self.files)[0]
        self.parts.site = Site({}, {}, self.highest)

    def read(self) -> None:
        self.files = (playbook(self.digest),)

    # What may happen.

    @initialize(digest=st.sampled_from(sorted(VERSIONS)))
    def first(self, digest: str) -> None:
        self.edit(digest)

    @rule(slow=st.booleans())
    def alert(self, slow: bool) -> None:
        """An alert is matched; a slow worker has not heard yet of what changed."""
        if not slow:
            self.rungs.refresh()
        (chosen,) = self.parts.playbooks()
        self.alerts += 1
        mode = min(chosen.mode, self.highest, key=ORDER.index)
        labels = {"alertname": "Sick", "instance": "h1:9100", "item": str(self.alerts)}
        target = Target("h1", "item", str(self.alerts))
        frozen = Frozen(
            playbook="heal", digest=chosen.digest, mode=mode, target=target, lock_key=f"target/{target}", labels=labels,
            starts_at=0.0, fingerprint=f"f{self.alerts}", generator_url="", limits=FREE, host_rates=(), steps=(STEP,),
            verify=chosen.verify,
        )  # fmt: skip
        now = self.clock.now()

        def store(tx: Tx) -> int:
            number, _ = tx.open_occurrence(Alert("firing", labels, {}, now, frozen.fingerprint), now)
            return tx.add_remediation(number, frozen, now)

        self.newest = self.store.write(store)

    @rule(count=st.integers(1, 4))
    def decide_some(self, count: int) -> None:
        for each in self.found(State.PENDING, State.HELD)[:count]:
            self.decide_it(each)

    @rule(choice=st.integers(0, 9), how=st.sampled_from(ENDS))
    @precondition(lambda self: self.found(State.RUNNING))
    def effect_ends(self, choice: int, how: str) -> None:
        running = self.found(State.RUNNING)
        remediation = running[choice % len(running)]
        self.store.write(lambda tx: self.put_end(tx, remediation, how))
        if how == "doubt":
            self.doubted.add(remediation.id)
        elif how in ("unproven", "failed"):
            self.model(remediation, False)
        elif how in ("worse", "undone as worse"):
            self.model_worse(remediation)
        elif how == "not asked":
            self.judged.add(remediation.id)

    @rule(choice=st.integers(0, 9), how=st.sampled_from(WATCHES))
    @precondition(lambda self: self.found(State.WATCHING))
    def watch_ends(self, choice: int, how: str) -> None:
        watching = self.found(State.WATCHING)
        self.watched(watching[choice % len(watching)], how)

    def watched(self, remediation: Remediation, how: str) -> None:
        ends = {
            "held": (State.SUCCEEDED, Reason.HELD_WATCH, Verdict.FIXED),
            "blind": (State.SUCCEEDED, Reason.BLIND, Verdict.FIXED),
            "recurred": (State.INEFFECTIVE, Reason.RECURRED, Verdict.RECURRED),
            "worse": (State.INEFFECTIVE, Reason.WORSENED, Verdict.WORSE),
        }
        state, reason, verdict = ends[how]
        self.store.write(lambda tx: tx.move(remediation.id, state, reason, self.clock.now(), verdict=verdict))
        if how == "worse":
            self.model_worse(remediation)
        elif how == "recurred" or (how == "held" and remediation.id not in self.doubted):
            self.model(remediation, how == "held")

    @rule(
        times=st.integers(1, 4),
        how=st.sampled_from(ENDS),
        watched=st.sampled_from(WATCHES),
        waiting=st.integers(0, 2),
        slow=st.booleans(),
    )
    def one_after_the_other(self, times: int, how: str, watched: str, waiting: int, slow: bool) -> None:
        """The usual course, again and again, with time between, while others have asked and are slow to decide."""
        for _ in range(times):
            self.alert(False)
            self.decide_some(9)
            for _ in range(waiting):
                self.alert(slow)
                self.ask_and_wait(0)
            for _ in range(len(self.found(State.RUNNING))):
                self.effect_ends(0, how)
            for each in self.found(State.WATCHING):
                self.watched(each, watched)
            self.clock.advance(WITHIN + 1)
            self.shadows_are_looked_at(True)
            self.clock.advance(SPAN / 3)
        self.decide_some(9)

    @rule()
    def climbs(self) -> None:
        """What it takes for a promotion, and a person's word."""
        self.one_after_the_other(4, "fixed", "held", 0, False)
        self.person_promotes()

    @rule(how=st.sampled_from(["worse", "undone as worse", "unproven"]), waiting=st.integers(1, 3), slow=st.booleans())
    def goes_wrong(self, how: str, waiting: int, slow: bool) -> None:
        """What takes a rung away while others wait to begin on it."""
        self.one_after_the_other(1, how, "held", waiting, slow)

    @rule(how=st.sampled_from(["unproven", "failed", "worse", "fixed"]), count=st.integers(3, 5))
    def many_at_once(self, how: str, count: int) -> None:
        """Several are under way when the first of them ends."""
        for _ in range(count):
            self.alert(False)
        self.decide_some(9)
        for _ in range(len(self.found(State.RUNNING))):
            self.effect_ends(0, how)

    @rule(firing=st.sampled_from([True, True, False, None]))
    def shadows_are_looked_at(self, firing: bool | None) -> None:
        now = self.clock.monotonic()
        for number, at in list(self.observed.items()):
            self.store.write(lambda tx, number=number: tx.judge_shadow(number, firing, self.clock.now()))  # type: ignore[misc]
            late = now - at > WITHIN + 60.0
            if now - at < WITHIN or (firing is None and not late):
                continue
            del self.observed[number]
            if not late:
                with self.store.read() as reader:
                    found = reader.remediation(number)
                assert found is not None
                self.model(found, bool(firing))

    @rule(choice=st.integers(0, 9), how=st.sampled_from(["done", "give up"]))
    @precondition(lambda self: self.found(State.UNKNOWN))
    def settle(self, choice: int, how: str) -> None:
        unknown = self.found(State.UNKNOWN)
        remediation = unknown[choice % len(unknown)]
        now = self.clock.now()

        def store(tx: Tx) -> None:
            if how == "give up":
                tx.move(remediation.id, State.FAILED, Reason.GIVEN_UP, now)
            else:
                tx.move(remediation.id, State.VERIFYING, Reason.SETTLED_DONE, now)
                tx.move(remediation.id, State.WATCHING, Reason.PROVEN, now, verdict=Verdict.FIXED)

        self.store.write(store)
        if how == "give up":
            self.model(remediation, False)

    @rule(seconds=st.sampled_from([1, 5, 11, 30, 101, 1_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(away=st.integers(0, 700))
    def crash(self, away: int) -> None:
        """The process dies; what it had begun is unknown, and what it knew of rungs is asked of the store again."""
        doubted = {each.id for each in self.found(State.RUNNING)}
        self.come_back(away)
        self.doubted |= doubted & {each.id for each in self.found(State.UNKNOWN)}

    @rule(digest=st.sampled_from(sorted(VERSIONS)))
    def edit(self, digest: str) -> None:
        self.digest = digest
        self.read()

    @rule(highest=st.sampled_from([Mode.AUTO] * 5 + [Mode.APPROVE, Mode.OBSERVE]))
    def configure(self, highest: Mode) -> None:
        self.highest = highest
        self.crash(0)

    @rule()
    def person_promotes(self) -> None:
        version = self.versions[self.digest]
        mode = min(version.rung, self.highest, key=ORDER.index)
        unknown = bool(self.found(State.UNKNOWN))
        may = mode is not Mode.AUTO and mode is not self.highest and not unknown and version.may_climb(mode)
        try:
            rung = promote(self.parts, "heal", "kim", "it has earned it")
        except NotTrusted:
            assert not may
            return
        assert may, "promoted without having earned it"
        assert rung is ORDER[ORDER.index(mode) + 1]
        version.becomes(rung)
        version.since = self.newest

    @rule(really=st.sampled_from([False, False, False, True]))
    def person_demotes(self, really: bool) -> None:
        if not really:
            return
        version = self.versions[self.digest]
        mode = min(version.rung, self.highest, key=ORDER.index)
        try:
            rung = demote(self.parts, "heal", "kim", "to be careful")
        except NotTrusted:
            assert mode is Mode.OBSERVE
            return
        version.becomes(rung)
        version.since = self.newest

    # How the real parts are driven, and what the model makes of it.

    def decide_it(self, remediation: Remediation) -> None:
        self.decide_by(decide.decide, remediation)
        with self.store.read() as reader:
            found = reader.remediation(remediation.id)
        assert found is not None
        if found.state is State.RUNNING:
            frozen = found.frozen
            assert frozen.mode is not Mode.OBSERVE
            earned = self.versions[frozen.digest].rung
            assert ORDER.index(frozen.mode) <= ORDER.index(earned), f"acts as {frozen.mode}, has earned {earned}"
        elif found.state is State.OBSERVED:
            self.observed[found.id] = self.clock.monotonic()

    def put_end(self, tx: Tx, remediation: Remediation, how: str) -> None:
        now = self.clock.now()
        store_end(tx, remediation, how, now, VERIFIED)
        if how == "undone as worse":
            tx.move(remediation.id, State.UNDONE, Reason.UNDONE, now)

    def model(self, remediation: Remediation, good: bool) -> None:
        if remediation.id in self.judged:
            return
        self.judged.add(remediation.id)
        frozen, version = remediation.frozen, self.versions[remediation.frozen.digest]
        before = version.rung, version.since
        version.counts(remediation.id, frozen.mode, good, self.clock.monotonic())
        self.fell(version, before)

    def model_worse(self, remediation: Remediation) -> None:
        self.judged.add(remediation.id)
        version = self.versions[remediation.frozen.digest]
        before = version.rung, version.since
        version.falls(remediation.frozen.mode)
        self.fell(version, before)

    def fell(self, version: Version, before: tuple[Mode, int]) -> None:
        if version.since == -1:
            version.since = self.newest
        assert version.since >= before[1]

    @invariant()
    def the_rungs_are_the_model_s(self) -> None:
        with self.store.read() as reader:
            stored = reader.rungs()

        for digest, version in self.versions.items():
            assert stored.get(("heal", digest), VERSIONS[digest]) is version.rung


TestNeverAbove = NeverAbove.TestCase
TestNeverAbove.settings = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_the_moves_reach_both_promotions_and_a_demotion() -> None:
    """Without this the machine could pass by never getting anywhere."""
    machine = NeverAbove()
    try:
        for expected in (Mode.APPROVE, Mode.AUTO):
            machine.one_after_the_other(4, "fixed", "held", 0, False)
            machine.person_promotes()
            assert machine.versions["d1"].rung is expected
        machine.the_rungs_are_the_model_s()
        machine.one_after_the_other(2, "unproven", "held", 0, False)
        machine.the_rungs_are_the_model_s()
        assert machine.versions["d1"].rung is Mode.APPROVE
    finally:
        machine.teardown()
