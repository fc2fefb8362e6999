"""The values that flow through the stages: frozen, without I/O; a change makes a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediator.model.states import Answer, Effect, Mode, Reason, State, StepState, Verdict

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a delivery, as Alertmanager's webhook version 4 tells it."""

    status: str
    """`firing` or `resolved`."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float
    fingerprint: str
    generator_url: str = ""

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True, slots=True)
class Target:
    """What is acted upon."""

    host: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` remediations with effects per `window` seconds."""

    count: int
    window: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How often and how widely a playbook may act."""

    cooldown: float = 600.0
    rate: tuple[Rate, ...] = (Rate(3, 3_600.0),)
    lock: str = "host"
    """`host` (default) or `target`."""
    hold_at_most: float = 900.0
    attempts: int = 3


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
    match: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One step as written in a playbook; arguments still hold templates."""

    action: str
    arguments: Mapping[str, Any]
    timeout: float = 30.0
    always: bool = False
    on_failure: str = "stop"
    """`stop` or `continue`."""


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
class Pause:
    """A pause in force."""

    who: str
    why: str
    until: float | None
    hard: bool = False


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


@dataclass(frozen=True, slots=True)
class RateUse:
    """How much of one rate is used: over which scope, and when the window's oldest use leaves it."""

    scope: str
    """`target`, `playbook` or `all`."""
    rate: Rate
    used: int
    frees_at: float


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


@dataclass(frozen=True, slots=True)
class GuardAnswer:
    """What one guard said, and why."""

    guard: str
    answer: Answer
    reason: Reason
    detail: Json = field(default_factory=dict)
    until: float | None = None
    """Seconds since the epoch; only for hold."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action would do: the dry run, and the content of an intent. Without items there is nothing to do."""

    items: tuple[Json, ...]
    """Each names its kind: `process` (pid, start_ticks, group), `file` (path) or `command` (service, verb)."""
    detail: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did."""

    ok: bool
    effects: tuple[Json, ...]
    """The plan's items that were really touched."""
    detail: Json = field(default_factory=dict)


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
