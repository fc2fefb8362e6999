"""A playbook rendered for one alert: what one remediation goes on with to its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from remediator.model.alert import Target
from remediator.model.plan import Json
from remediator.model.playbook import Diagnosis, Limits, Rate, Verify
from remediator.model.states import Effect, Mode


@dataclass(frozen=True, slots=True)
class FrozenStep:
    """A step with rendered, validated arguments and the version of the action that validated them."""

    action: str
    version: int
    effect: Effect
    idempotent: bool
    arguments: Json
    timeout: float
    always: bool = False
    on_failure: str = "stop"
    unless_healed: bool = False
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Frozen:
    """Everything one remediation needs to go on with, whatever is edited or upgraded meanwhile."""

    playbook: str
    digest: str
    mode: Mode
    target: Target
    lock_key: str
    labels: dict[str, str]
    starts_at: float
    fingerprint: str
    generator_url: str
    limits: Limits
    host_rates: tuple[Rate, ...]
    """The rates of the configuration, over all playbooks."""
    steps: tuple[FrozenStep, ...]
    verify: Verify | None
    """Rendered; None where proof is not asked."""
    otherwise: tuple[str, ...] = ()
    when: str | None = None
    """Rendered; stands in for a rule where Prometheus has none."""
    manual: bool = False
    """Asked for by a person, not by an alert."""
    diagnose: tuple[Diagnosis, ...] = ()
    """Rendered."""
    annotations: dict[str, str] = field(default_factory=dict)
    """The alert's, each cut to what an action may see of it."""
