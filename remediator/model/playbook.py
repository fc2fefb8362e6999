"""A playbook as loaded: its trigger, limits, steps and proof, which may all still hold templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediator.model.states import Mode


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` remediations with effects per `window` seconds."""

    count: int
    window: float


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """How much of the alert's group may be in flight, or touched within `window` seconds, at the same time."""

    by: tuple[str, ...]
    """Labels of the alert; those with the same values are one group."""
    percent: int | None = None
    """Of the targets that Prometheus scrapes in the group, rounded down; None where `count` says it."""
    count: int | None = None
    window: float = 3_600.0
    quorum: str | None = None
    """An expression that returns something while enough of the group is healthy; may still hold templates."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How often and how widely a playbook may act."""

    cooldown: float = 600.0
    rate: tuple[Rate, ...] = (Rate(3, 3_600.0),)
    lock: str = "host"
    """`host` (default) or `target`."""
    hold_at_most: float = 900.0
    attempts: int = 3
    blast_radius: BlastRadius | None = None


@dataclass(frozen=True, slots=True)
class Matcher:
    """One Alertmanager matcher; regular expressions are anchored."""

    label: str
    operator: str
    """`=`, `!=`, `=~` or `!~`."""
    value: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a playbook."""

    alert: str
    """Empty where no alert does."""
    match: tuple[Matcher, ...] = ()
    manual: bool = False
    """A person, and nothing else unless an alert is named too."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step as written in a playbook; arguments still hold templates."""

    action: str
    arguments: Mapping[str, Any]
    timeout: float = 30.0
    always: bool = False
    on_failure: str = "stop"
    """`stop` or `continue`."""
    unless_healed: bool = False
    """It waits for fresh samples and begins only if the condition is judged to hold still."""
    undo: bool = False
    """What it did is taken back when a later step fails or the verdict is worse."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One probe of `diagnose:`, run before the first effect and kept; arguments may still hold templates."""

    probe: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 10.0
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Verify:
    """What counts as proof, in seconds and expressions; `healthy` and `alive` may still hold templates."""

    healthy_for: float = 30.0
    within: float = 120.0
    watch: float = 0.0
    healthy: str | None = None
    alive: str | None = None


@dataclass(frozen=True, slots=True)
class Playbook:
    """One playbook as loaded; `verify` is None where it says `verify: none`."""

    name: str
    title: Mapping[str, str]
    trigger: Trigger
    mode: Mode
    target: Mapping[str, str]
    """`{"host": template, "<kind>": template}`."""
    limits: Limits
    steps: tuple[Step, ...]
    verify: Verify | None
    otherwise: tuple[str, ...]
    digest: str
    """SHA-256 of the canonical content: another digest is another playbook."""
    source: str = ""
    """The file it came from, for messages."""
    when: str | None = None
    """Returns something while it is needed, where no rule of Prometheus says so; may still hold templates."""
    diagnose: tuple[Diagnosis, ...] = ()
