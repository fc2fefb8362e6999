"""What was asked of the world for one decision: the alert as it is now, pauses, windows, the group, the plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from remediator.model.monitoring import Monitoring
from remediator.model.plan import Json
from remediator.model.states import Reason


@dataclass(frozen=True, slots=True)
class Live:
    """What Prometheus and Alertmanager said of one alert just now; None or empty where `blind` tells why."""

    asked_at: float
    firing: bool | None
    """The rule's own expression, asked whole, has an element with the alert's labels."""
    active: bool | None
    """`ALERTS` has the alert, pending or firing, external and ignored labels aside."""
    seen_since_delivery: bool | None
    """`ALERTS` had a sample of it since one minute before the delivery."""
    labels_differ: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    """The sources that gave no usable answer: `prometheus`, `alertmanager`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a pause is about; empty is any, so that without both it is everything."""

    playbook: str = ""
    target: str = ""
    """As it is printed, `host/kind:name`."""

    def covers(self, playbook: str, target: str) -> bool:
        """Say whether it is about this playbook on this target."""
        return self.playbook in ("", playbook) and self.target in ("", target)


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in force."""

    who: str
    why: str
    until: float | None
    hard: bool = False
    scope: Scope = Scope()


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window as configured: it opens at each time of `cron` in `timezone` and lasts `span` seconds."""

    name: str
    cron: str
    span: float
    timezone: str
    why: str = ""
    playbooks: tuple[str, ...] = ()
    """Patterns of names (`*`, `?`, `[…]`); empty is every playbook."""
    targets: tuple[str, ...] = ()
    """Patterns of targets as they are printed; empty is every target."""


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """A maintenance window that is open now."""

    name: str
    why: str
    until: float


@dataclass(frozen=True, slots=True)
class Group:
    """What Prometheus said just now of the group that a blast radius is about."""

    size: int | None
    """Its targets that are scraped, healthy or not; None where a count is declared, or nobody answers."""
    quorum: bool | None
    """Whether the quorum's expression returned something; None where none is declared, or nobody answers."""
    blind: bool = False
    """No usable answer."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was asked of the world for one decision."""

    asked_at: float
    delivered_at: float
    pause: Pause | None
    hosts: tuple[str, ...]
    """The configured hosts that the alert's instance maps to."""
    live: Live | None
    rule_problem: Reason | None
    plan: Json | None
    """The first step's plan; None where it could not be made."""
    policy_refusal: str | None
    held_since: float | None = None
    clock_jumped: bool = False
    plan_hash: str | None = None
    """What an approval is bound to; None where there is no plan with something to do."""
    approval_valid_for: float = 1_800.0
    """Seconds."""
    digest_in_force: str | None = None
    """Of the playbook of this name as it was last read; None where there is none any more."""
    withdrawn: bool = False
    """Whether that playbook may not go as far any more as what is frozen would, or is gone."""
    window: OpenWindow | None = None
    """The maintenance window that holds this playbook on this target; of several the one that ends last."""
    group: Group | None = None
    """None where the playbook has no blast radius, or nothing was asked because the alert does not fire."""
    monitoring: Monitoring = field(default_factory=Monitoring)
