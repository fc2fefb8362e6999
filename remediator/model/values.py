"""The values that flow through the stages: frozen, without I/O; a change makes a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediator.model.breaker import Breaker
from remediator.model.monitoring import Monitoring
from remediator.model.states import Answer, ApprovalState, Effect, Mode, Reason, State, StepState, Verdict

Json = dict[str, Any]
CLOCK_SET = 30.0
"""Seconds by which a time may lie ahead of the clock before that means that the clock was set back since."""


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
