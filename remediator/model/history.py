"""What the store knows for one decision, and what a guard says to it and to the facts."""

from __future__ import annotations

from dataclasses import dataclass, field

from remediator.model.breaker import Breaker
from remediator.model.plan import Json
from remediator.model.playbook import Rate
from remediator.model.rows import Approval
from remediator.model.states import Answer, Mode, Reason


@dataclass(frozen=True, slots=True)
class RateUse:
    """How much of one rate is used: over which scope, and when the window's oldest use leaves it."""

    scope: str
    """`target`, `playbook` or `all`."""
    rate: Rate
    used: int
    frees_at: float


@dataclass(frozen=True, slots=True)
class Touched:
    """Another target of the group that a blast radius is about: in flight, or touched within its window."""

    target: str
    leaves_at: float | None
    """When it counts no more; None while it is in flight."""


@dataclass(frozen=True, slots=True)
class History:
    """What the store knows, read inside the writer's transaction."""

    live_duplicate: int | None
    """Another live remediation of the same occurrence."""
    lock_holder: int | None
    last_effect_at: float | None
    """On this target, by anyone."""
    rates: tuple[RateUse, ...] = ()
    attempts: int = 0
    """Remediations of this occurrence that stored an intent."""
    approval: Approval | None = None
    """The newest request of this remediation."""
    touched: tuple[Touched, ...] = ()
    """Other targets of the group; empty where the playbook has no blast radius."""
    last_effect_by: int | None = None
    """The remediation of `last_effect_at`."""
    breakers: tuple[Breaker, ...] = ()
    """Those over this remediation that are not closed; one that it tries itself is not among them."""
    healed: RateUse | None = None
    """How often this playbook healed this target, of how often it may; None where nobody counts."""
    rung: Mode | None = None
    """What this version of the playbook has earned; None where its file's mode counts."""


@dataclass(frozen=True, slots=True)
class GuardAnswer:
    """What one guard said, and why."""

    guard: str
    answer: Answer
    reason: Reason
    detail: Json = field(default_factory=dict)
    until: float | None = None
    """Seconds since the epoch; only for hold."""
