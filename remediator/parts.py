"""What the stages work with, built once by `app` and handed to each of them; no stage builds or looks up its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from remediator.config import Config
from remediator.evidence import Evidence
from remediator.model import Action, Dispatch, Outcome, Pause, Playbook, Reached, StepState, nothing_happens
from remediator.playbooks.match import Site
from remediator.store import Store
from selfheal.common.clock import Clock


class Counters(Protocol):
    """Where a stage counts what it did; the metrics room implements it."""

    def count(self, metric: str, **labels: str) -> None:
        """Add one to the counter `metric`."""
        ...

    def observe(self, metric: str, value: float, **labels: str) -> None:
        """Set the gauge, or add to the histogram, `metric`."""
        ...


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A step's result that the store could not take yet; kept until it does, with its target blocked."""

    step_id: int
    state: StepState
    outcome: Outcome | None
    reason: str


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a stage may use."""

    config: Config
    store: Store
    evidence: Evidence
    clock: Clock
    playbooks: Callable[[], tuple[Playbook, ...]]
    """The ones in force: a reload swaps them."""
    site: Site
    actions: Mapping[str, Action]
    dispatch: Dispatch
    pause: Callable[[], Pause | None]
    clock_jumped: Callable[[], bool]
    counters: Counters
    reached: Reached = nothing_happens
    unsaved: dict[int, Unsaved] = field(default_factory=dict)
    """By remediation."""
    begun: set[int] = field(default_factory=set)
    """Step rows whose effect this process has begun: met again without a result, their outcome is open."""
