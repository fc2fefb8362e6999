"""Circuit breakers: their states, their limits, and one breaker as stored."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ALL_PLAYBOOKS = "all-playbooks"
"""The name of the breaker over all; no playbook can be called so."""


class BreakerState(StrEnum):
    """Whether a circuit breaker lets remediations begin."""

    CLOSED = "closed"  # they begin
    OPEN = "open"  # none begins
    HALF_OPEN = "half_open"  # one may be under way, to try


BREAKER_MOVES: dict[BreakerState, frozenset[BreakerState]] = {
    BreakerState.CLOSED: frozenset({BreakerState.OPEN}),
    BreakerState.OPEN: frozenset({BreakerState.HALF_OPEN, BreakerState.CLOSED}),
    BreakerState.HALF_OPEN: frozenset({BreakerState.CLOSED, BreakerState.OPEN}),
}
"""Every permitted move; open → closed is a person's reset."""


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a breaker opens, and for how long."""

    window: float = 21_600.0
    """Seconds of ended remediations that are looked at."""
    minimum: int = 5
    """Fewer than these say nothing."""
    share: float = 0.5
    """Of them that failed or did not help."""
    open_for: float = 3_600.0
    """Seconds until one may try."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """One circuit breaker: a playbook's, by its name, or the one over all."""

    name: str
    state: BreakerState
    changed_at: float
    failed: int = 0
    """How many of `ended` had failed when it opened."""
    ended: int = 0
    tries_at: float | None = None
    """When one may try; None while it is closed."""
    trial: int | None = None
    """The remediation that tries."""
    who: str = ""
    """Who reset it last, and why."""
    why: str = ""
