"""Counts what a scenario came to: what ran, what each guard stopped or held, how much at once, who was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from remediator.guards import combine, would_have
from remediator.ladder import HANDED_OVER
from remediator.model import ENDS, LOCKED, Alert, Answer, Event, Frozen, GuardAnswer, Mode, Reason, State


class Came(StrEnum):
    """The furthest that it came for one alert's time of being on, the least first."""

    NOTHING = "nothing"  # no playbook, or every guard's no
    OBSERVED = "observed"  # it would have begun, were the playbook free to act
    ASKED = "asked"  # a person was asked
    RAN = "ran"  # it began


ORDER = list(Came)
Key = tuple[str, float]
"""An alert's fingerprint, and when it began."""
Furthest = tuple[Came, tuple[str, ...]]
"""How far it came, and the playbooks that brought it there, the first one first."""


@dataclass(slots=True)
class Counted:
    """What one playbook came to."""

    observed: int = 0
    asked: int = 0
    ran: int = 0
    stopped: int = 0
    fixed: int = 0
    not_proven: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """What one guard said, and why."""

    guard: str
    answer: str
    reason: str
    observed: bool
    """It would have said so, of a playbook that only observes."""


@dataclass(slots=True)
class Stopped:
    """How many remediations of how many alerts, and how long they were held together, in seconds."""

    remediations: int = 0
    alerts: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LongestHold:
    """The remediation that was held back longest without a break."""

    playbook: str
    target: str
    alert: str
    reasons: tuple[str, ...]
    begin: float
    seconds: float


@dataclass(slots=True)
class _Run:
    """One remediation under way."""

    frozen: Frozen
    occurrence: int
    guard: str = ""
    held_from: float | None = None
    """Since when it is held without a break."""
    hold_from: float = 0.0
    """Since when for the present reason."""
    reasons: list[str] = field(default_factory=list)
    said: set[Said] = field(default_factory=set)
    """What it is counted for already."""
    locked: bool = False
    asked: bool = False


class Tally:
    """Fed by the simulated store; read when the scenario is over."""

    def __init__(self, begins: float) -> None:
        self.begins = begins
        self.playbooks: dict[str, Counted] = {}
        self.decisions = 0
        self.peak, self.peak_at = 0, begins
        self.peak_on, self._on = 0, 0
        self.starts: list[float] = []
        """When remediations began, in order."""
        self.alert_starts: list[float] = []
        self.longest: LongestHold | None = None
        self.uncovered: Counter[str] = Counter()
        self.to_people: Counter[tuple[str, str]] = Counter()
        """By reason and alert."""
        self.undecided: Counter[tuple[str, str]] = Counter()
        """What got its fate before any guard was asked, by reason and alert."""
        self.breakers: Counter[str] = Counter()
        """How often each opened."""
        self.demotions: list[tuple[str, str, float]] = []
        """Playbook, the mode that is left to it, and when it lost the other."""
        self.under_way = 0
        self.came: dict[Key, Furthest] = {}
        self.guards: dict[Said, Stopped] = {}
        self.names: dict[str, str] = {}
        """The alert's name by its fingerprint."""
        self._runs: dict[int, _Run] = {}
        self._keys: dict[int, tuple[Key, str]] = {}
        self._said_of: dict[int, set[Said]] = {}
        self._locked = 0

    def began(self, alert: Alert, at: float) -> None:
        """An alert goes on."""
        self.alert_starts.append(at)
        self._on += 1
        self.peak_on = max(self.peak_on, self._on)
        self.came.setdefault((alert.fingerprint, at), (Came.NOTHING, ()))
        self.names.setdefault(alert.fingerprint, alert.name)

    def ended(self) -> None:
        """An alert goes off."""
        self._on -= 1

    def considering(self, occurrence: int, alert: Alert) -> None:
        """An occurrence is about to be considered."""
        self._keys.setdefault(occurrence, ((alert.fingerprint, alert.starts_at), alert.name))

    def added(self, number: int, occurrence: int, frozen: Frozen) -> None:
        """A remediation was made."""
        self._runs[number] = _Run(frozen, occurrence)

    def decided(self, number: int, answers: Sequence[GuardAnswer], at: float) -> None:
        """All guards were asked about one."""
        del at
        self.decisions += 1
        run = self._runs[number]
        decision = combine(answers)
        if run.frozen.mode is Mode.OBSERVE:
            decision = would_have(answers)
            if decision.answer is Answer.ALLOW:
                self._count(run, Came.OBSERVED)
        run.guard = decision.guard
        if decision.answer is not Answer.ALLOW:
            self._said(run, decision.answer, decision.reason)

    def told(self, event: Event) -> None:
        """An event of the store: a move, a fate, a request, a breaker."""
        if event.kind == "moved" and event.remediation_id in self._runs and event.new is not None:
            self._moved(event.remediation_id, self._runs[event.remediation_id], State(event.new), event)
        elif event.kind == "fate" and event.occurrence_id is not None:
            self._fate(event)
        elif event.kind == "approval" and event.new == "open" and event.remediation_id in self._runs:
            self._count(self._runs[event.remediation_id], Came.ASKED)
        elif event.kind == "breaker" and event.new == "open":
            self.breakers[str(event.detail["breaker"])] += 1
        elif event.kind == "demoted":
            self.demotions.append((str(event.detail["playbook"]), str(event.new), event.at))

    def over(self, at: float) -> None:
        """The recording is over: what is held is so until here."""
        self.under_way = len(self._runs)
        for run in self._runs.values():
            self._let_go(run, at)

    def _moved(self, number: int, run: _Run, state: State, event: Event) -> None:
        if state is State.HELD:
            self._hold(run, event)
        elif run.held_from is not None:
            self._let_go(run, event.at)
        if (state in LOCKED) is not run.locked:
            run.locked = state in LOCKED
            self._locked += 1 if run.locked else -1
            if self._locked > self.peak:
                self.peak, self.peak_at = self._locked, event.at
        if state is State.RUNNING:
            self.starts.append(event.at)
            self._count(run, Came.RAN)
        counted = self._of(run)
        if state is State.SKIPPED:
            counted.stopped += 1
            if event.reason is Reason.ROOT_CAUSE:
                self.to_people[Reason.ROOT_CAUSE, run.frozen.labels.get("alertname", "")] += 1
        elif state is State.WATCHING or (state is State.SUCCEEDED and event.reason is Reason.PROVEN):
            counted.fixed += 1
        elif state is State.INEFFECTIVE:
            counted.not_proven += 1
            counted.fixed -= event.reason is Reason.RECURRED
        if state in ENDS:
            del self._runs[number]

    def _hold(self, run: _Run, event: Event) -> None:
        if run.held_from is None:
            run.held_from = event.at
            run.reasons = []
        else:
            self._add_hold(run, event.at)
        run.hold_from = event.at
        run.reasons.append(event.reason.value if event.reason is not None else "")

    def _add_hold(self, run: _Run, at: float) -> None:
        for said in run.said:
            if said.answer == Answer.HOLD and said.reason == run.reasons[-1]:
                self.guards[said].seconds += at - run.hold_from

    def _let_go(self, run: _Run, at: float) -> None:
        if run.held_from is None:
            return
        self._add_hold(run, at)
        seconds = at - run.held_from
        if self.longest is None or seconds > self.longest.seconds:
            frozen = run.frozen
            alert = frozen.labels.get("alertname", "")
            reasons = tuple(dict.fromkeys(run.reasons))
            self.longest = LongestHold(frozen.playbook, str(frozen.target), alert, reasons, run.held_from, seconds)
        run.held_from = None

    def _fate(self, event: Event) -> None:
        assert event.occurrence_id is not None
        known = self._keys.get(event.occurrence_id)
        if known is None:
            return
        alert = known[1]
        if event.new == "no_playbook":
            self.uncovered[alert] += 1
        elif event.new in (HANDED_OVER, "human_only"):
            self.to_people[event.new, alert] += 1
        elif event.remediation_id is None and event.reason not in (None, Reason.RESOLVED):
            self.undecided[str(event.reason), alert] += 1

    def _said(self, run: _Run, answer: Answer, reason: Reason) -> None:
        said = Said(run.guard, answer.value, reason.value, run.frozen.mode is Mode.OBSERVE)
        if said in run.said:
            return
        run.said.add(said)
        counted = self.guards.setdefault(said, Stopped())
        counted.remediations += 1
        of_the_alert = self._said_of.setdefault(run.occurrence, set())
        if said not in of_the_alert:
            of_the_alert.add(said)
            counted.alerts += 1

    def _count(self, run: _Run, came: Came) -> None:
        counted = self._of(run)
        if came is Came.RAN:
            counted.ran += 1
        elif came is Came.OBSERVED:
            counted.observed += 1
        elif not run.asked:
            counted.asked += 1
            run.asked = True
        if (known := self._keys.get(run.occurrence)) is None:
            return
        furthest, playbooks = self.came.get(known[0], (Came.NOTHING, ()))
        if ORDER.index(came) > ORDER.index(furthest):
            self.came[known[0]] = (came, (run.frozen.playbook,))
        elif came is furthest and run.frozen.playbook not in playbooks:
            self.came[known[0]] = (came, (*playbooks, run.frozen.playbook))

    def _of(self, run: _Run) -> Counted:
        return self.playbooks.setdefault(run.frozen.playbook, Counted())
