"""What is stored: occurrences, remediations, their steps, requests to a person, and events."""

from __future__ import annotations

from dataclasses import dataclass

from remediator.model.alert import Alert
from remediator.model.frozen import Frozen
from remediator.model.plan import Json, Outcome, Plan
from remediator.model.states import ApprovalState, Reason, State, StepState, Verdict

CLOCK_SET = 30.0
"""Seconds by which a time may lie ahead of the clock before that means that the clock was set back since."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One request to a person, for exactly one plan; answered once."""

    id: int
    remediation_id: int
    plan_hash: str
    state: ApprovalState
    requested_at: float
    expires_at: float
    decided_at: float | None = None
    who: str | None = None
    why: str | None = None
    how: str | None = None
    """By which way the answer came: `cli`, `api` or `link`."""

    def is_over(self, now: float) -> bool:
        """Say whether its time is over, or nobody can tell: the clock was set back to before it was asked for."""
        return not self.requested_at - CLOCK_SET <= now < self.expires_at


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One period of an alert being on."""

    id: int
    alert: Alert
    received_at: float
    """When it was first delivered."""
    last_seen_at: float
    closed_at: float | None
    fate: str | None
    reason: Reason | None
    remediation_id: int | None


@dataclass(frozen=True, slots=True)
class Try:
    """One remediation of an occurrence, in short: for the ladder."""

    playbook: str
    acted: bool
    """It stored an intent."""
    state: State
    reason: Reason | None
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class StepRow:
    """One stored attempt at a step."""

    id: int
    position: int
    attempt: int
    state: StepState
    plan: Plan
    intent_at: float
    ended_at: float | None
    outcome: Outcome | None
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Remediation:
    """One attempt of one playbook on one target, as stored."""

    id: int
    occurrence_id: int
    frozen: Frozen
    state: State
    reason: Reason | None
    verdict: Verdict | None
    cancel: Reason | None
    """Set when it should end at the next safe point."""
    position: int
    """The next step."""
    until: float | None
    created_at: float
    held_since: float | None
    started_at: float | None
    """The first intent."""
    verified_at: float | None
    ended_at: float | None
    proof: Json
    """What verifying needs: rule, baseline, and on Prometheus's clock the effects' end and the healthy span's start."""


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, written in its transaction; announce reads them in order."""

    id: int
    at: float
    remediation_id: int | None
    occurrence_id: int | None
    kind: str
    """`moved`, `fate`, `paused`, `resumed`, `step`."""
    old: str | None
    new: str | None
    reason: Reason | None
    detail: Json
