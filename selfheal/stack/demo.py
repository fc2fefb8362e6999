"""The director of the demo: makes the patient ill, one fault after the other, and records what became of each.

It heals nothing. It only injects, watches the remediator's record and the alert, and counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from selfheal.common.clock import from_rfc3339, to_rfc3339
from selfheal.stack.bystanders import foreign_effects
from selfheal.stack.config import Settings
from selfheal.stack.events import Event, FaultHealed, FaultInjected, FaultNotHealed, PatientWell
from selfheal.stack.follow import Follower, Seen, Unreachable
from selfheal.stack.loopback import ask
from selfheal.stack.patient import FAULTS, Fault, control
from selfheal.stack.patient.decoys import Decoys
from selfheal.stack.patient.identities import group_name
from selfheal.stack.patient.rules import JOB
from selfheal.stack.patient.worker import KINDS

GIVE_UP_AFTER = 40.0
RUN_WITHIN = 180.0
"""Seconds for five faults, from readiness."""

# Prometheus stamps an evaluation with the time it was due, which may lie just before the injection
_STAMP_SLACK = 1.5
_FIXED = "fixed"


@dataclass(frozen=True, slots=True)
class Record:
    """One injected fault and what became of it; times in seconds since the epoch."""

    fault: Fault
    injected_at: float
    remediation: str = ""
    fired_at: float | None = None
    first_step_at: float | None = None
    verified_at: float | None = None
    verdict: str = ""
    given_up: bool = False
    """The next fault was begun without waiting longer; a later proof does not count."""

    @property
    def healed(self) -> bool:
        """Say whether it was healed and verified in time."""
        return self.verified_at is not None and self.verdict == _FIXED and not self.given_up

    def as_json(self) -> dict[str, Any]:
        """Return it as the report has it."""
        return {
            "fault": self.fault.name,
            "alert": self.fault.alert,
            "playbook": self.fault.playbook,
            "injected_at": to_rfc3339(self.injected_at),
            "fired_at": _text(self.fired_at),
            "first_step_at": _text(self.first_step_at),
            "verified_at": _text(self.verified_at),
            "verdict": self.verdict or None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What the demo showed; `reason` says why it fell short (empty: it did not)."""

    healed: int
    faults: tuple[Record, ...]
    bystanders: tuple[str, ...]
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "healed": self.healed,
            "faults": [record.as_json() for record in self.faults],
            "bystanders_touched": len(self.bystanders),
        }


@dataclass(slots=True)
class Director:
    """Runs `rounds` times the five faults; one turn per call."""

    settings: Settings
    follower: Follower
    decoys: Decoys
    rounds: int = 1
    until_healed: int | None = None
    records: list[Record] = field(default_factory=list)
    reason: str = ""
    finished: bool = False
    _ready_at: float | None = None
    _injected: float = 0.0  # monotonic
    _open: bool = False

    @property
    def total(self) -> int:
        """How many faults there are at most."""
        return self.rounds * len(FAULTS)

    @property
    def healed(self) -> int:
        """How many faults were healed and verified so far."""
        return sum(record.healed for record in self.records)

    def turn(self, monotonic: float, now: float) -> list[Event]:
        """Go on as far as possible now. Only called when every program is ready."""
        if self.finished:
            return []
        if self._ready_at is None:
            self._ready_at = monotonic
        events = self._watch(monotonic) if self._open else []
        if self.until_healed is not None and self.healed >= self.until_healed:
            return [*events, self._finish("")]
        if not self._open and len(self.records) == self.total:
            return [*events, self._finish("not_healed" if self.healed < self.total else "")]
        if self.until_healed is not None and monotonic - self._ready_at > RUN_WITHIN * self.rounds:
            return [*events, self._finish("too_slow" if self.records else "never_seen")]
        if not self._open and self._may_inject():
            events += self._inject(monotonic, now)
        return events

    def report(self) -> Report:
        """Ask for the whole record and return what happened; without it nothing counts as healed."""
        try:
            whole = {str(remediation["id"]): remediation for remediation in self.follower.details()}
        except Unreachable:
            reason = self.reason or ("no_record" if self.finished else "stopped")
            return Report(0, tuple(self.records), self.decoys.changed(), reason)
        records = tuple(_complete(record, whole) for record in self.records)
        healed = sum(record.healed for record in records)
        touched = [str(effect) for effect in foreign_effects(whole.values(), self.settings.layout.patient)]
        reason = self.reason or ("relapsed" if healed < self.healed else "" if self.finished else "stopped")
        return Report(healed, records, (*self.decoys.changed(), *touched), reason)

    def _finish(self, reason: str) -> Event:
        self.finished = True
        self.reason = reason
        return PatientWell(self.healed, self.total)

    def _may_inject(self) -> bool:
        """Only into a patient that is seen: without a sample from before there is nothing to compare with."""
        if not self.records:
            return self.decoys.ready and self._is_seen()
        return True

    def _is_seen(self) -> bool:
        members = f'namedprocess_namegroup_num_procs{{groupname=~"{group_name(".*")}"}}'
        return bool(self._query(f'up{{job="{JOB}"}} == 1 and on () (count({members} > 0) == {len(KINDS)})'))

    def _inject(self, monotonic: float, now: float) -> list[Event]:
        fault = FAULTS[len(self.records) % len(FAULTS)]
        try:
            control.ask(self.settings.layout.patient, f"ill {fault.name}")
        except control.Refused:
            return []  # the patient is being restarted; the next turn tries again
        self.records.append(Record(fault, now))
        self._injected = monotonic
        self._open = True
        return [FaultInjected(fault.name, len(self.records), self.total)]

    def _watch(self, monotonic: float) -> list[Event]:
        record = self._update(self.records[-1])
        before, self.records[-1] = self.records[-1], record
        waited = monotonic - self._injected
        if record.healed:
            told: list[Event] = []
            if not before.healed:
                told.append(FaultHealed(record.fault.name, (record.verified_at or 0.0) - record.injected_at))
            # the next fault of another kind must not meet an alert that still rings
            self._open = waited <= GIVE_UP_AFTER and not self._is_quiet(record.fault.alert)
            return told
        if waited > GIVE_UP_AFTER:
            self._open = False
            self.records[-1] = replace(record, given_up=True)
            return [FaultNotHealed(record.fault.name, waited, bool(record.remediation))]
        return []

    def _update(self, record: Record) -> Record:
        found = _latest(self.follower.seen, record)
        if found is None:
            return record
        return replace(
            record,
            remediation=found.id,
            fired_at=found.fired_at,
            first_step_at=found.started_at,
            verified_at=found.verified_at,
            verdict=found.verdict,
        )

    def _is_quiet(self, alert: str) -> bool:
        if self._query(f'ALERTS{{alertname="{alert}"}}') != []:
            return False
        url = f"{self.settings.url('alertmanager')}/api/v2/alerts"
        return bool(ask(url, {"filter": f'alertname="{alert}"'}) == [])

    def _query(self, expression: str) -> list[Any] | None:
        answer = ask(f"{self.settings.url('prometheus')}/api/v1/query", {"query": expression})
        return None if answer is None else list(answer["data"]["result"])


def _latest(seen: Mapping[str, Seen], record: Record) -> Seen | None:
    """Return the remediation that answers this fault: the one that was verified, else the newest."""
    after = record.injected_at - _STAMP_SLACK
    ours = [item for item in seen.values() if item.playbook == record.fault.playbook and item.fired_at >= after]
    verified = [item for item in ours if item.verified_at is not None]
    return max(verified or ours, key=lambda item: (item.fired_at, item.started_at or 0.0), default=None)


def _complete(record: Record, whole: Mapping[str, Mapping[str, Any]]) -> Record:
    remediation = whole.get(record.remediation)
    if remediation is None:
        return record
    intents = [from_rfc3339(step["intent_at"]) for step in remediation["steps"] if step["intent_at"]]
    return replace(
        record,
        first_step_at=min(intents, default=record.first_step_at),
        verified_at=_moment(remediation["verified_at"]),
        verdict=remediation["verdict"] or "",
    )


def _moment(text: str | None) -> float | None:
    return None if text is None else from_rfc3339(text)


def _text(seconds: float | None) -> str | None:
    return None if seconds is None else to_rfc3339(seconds)
