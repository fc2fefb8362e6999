"""What plug-ins and rooms promise each other: actions, dispatch, and the named points of a crash test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from remediator.model.frozen import Frozen
from remediator.model.plan import Json, Outcome, Plan
from remediator.model.states import Effect


class ArgumentType(StrEnum):
    """How an argument is read, and whether a template may stand in it."""

    TEXT = "text"  # free text, templates allowed, 256 bytes at most
    GROUP = "group"  # a process group that the policy lists; templates allowed, it is a lookup
    ROOT = "root"  # a root folder that the policy lists; templates allowed, it is a lookup
    SERVICE = "service"  # a command set that the policy names; templates allowed, it is a lookup
    BYTES = "bytes"  # 400MiB, 10GB, or a whole number; no template
    DURATION = "duration"  # 5s; no template
    NUMBER = "number"  # no template
    SWITCH = "switch"  # true or false; no template
    UNIT = "unit"  # a unit of systemd that the policy lists; templates allowed, it is a lookup
    COMMAND = "command"  # a command with run: that the policy names; templates allowed, it is a lookup
    PARAMETERS = "parameters"  # values for that command, by name; templates allowed in texts
    URL = "url"  # an address that the policy lists; no template
    BODY = "body"  # text, or a mapping or list that is sent as JSON; templates in texts, which become texts of it
    STATUSES = "statuses"  # a list of HTTP's status codes; no template
    PLAY = "play"  # a playbook of Ansible that the policy names; templates allowed, it is a lookup
    TEMPLATE = "template"  # a template of units that the policy scales; templates of ours allowed, it is a lookup
    INTEGER = "integer"  # a whole number, below 0 too; no template
    WORK_TREE = "work_tree"  # a work tree of git that the policy lists, by path or name; templates allowed: a lookup
    CONTAINER = "container"  # a container that the policy lists; templates allowed, it is a lookup
    PROGRAM = "program"  # a program of supervisord that the policy lists; templates allowed, it is a lookup
    EXPRESSION = "expression"  # PromQL; templates allowed in quoted matcher values


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an action."""

    type: ArgumentType
    required: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Context:
    """What an action is given besides its arguments. It never sees the store."""

    policy: Any
    """`remediator.policy.Policy`."""
    procfs: Path
    deadline: float
    """On the monotonic clock."""
    monotonic: Callable[[], float]
    reached: Reached
    announce: Callable[[str], None]
    """Where notify.log writes."""
    prometheus: Callable[[str], Sequence[tuple[Mapping[str, str], float]]] | None = None
    """Asks the configured Prometheus one expression; None where there is none to ask."""
    alert: Mapping[str, Any] = field(default_factory=dict)
    """As it was frozen, never as it was last delivered: labels, annotations, starts_at, fingerprint."""
    remediation: int = 0
    """Its number; 0 where nothing is stored, as when a person only tries a playbook out."""
    silences: Silencer | None = None
    """The door to the configured Alertmanagers; None where there are none."""


class Silencer(Protocol):
    """Makes and ends silences in the configured Alertmanagers, each known again by its mark."""

    def matchers(self, alert: Mapping[str, Any]) -> tuple[Json, ...]:
        """Given an alert, return what fits it and no other; empty where its labels cannot say that."""
        ...

    def create(self, policy: Any, wanted: Mapping[str, Any]) -> Json:
        """Given matchers, seconds, comment and mark, return the silence's id and end; one that is there is kept."""
        ...

    def expire(self, policy: Any, mark: str) -> tuple[str, ...]:
        """Given a mark, end the silence that bears it; return the ids of those that were in force."""
        ...


class Action(Protocol):
    """A module in `actions/`."""

    name: str
    version: int
    effect: Effect
    idempotent: bool
    arguments: Mapping[str, Argument]

    def plan(self, arguments: Mapping[str, Any], context: Context) -> Plan:
        """Given validated arguments, return what would be done. Read-only. Raise Refused if the policy forbids it."""
        ...

    def run(self, plan: Plan, context: Context) -> Outcome:
        """Given a stored plan, do exactly that. Raise Refused, ActionFailed or OutcomeUnknown."""
        ...


@runtime_checkable
class Reversible(Action, Protocol):
    """An action that can take back what it did; only such a one may be in a step with `undo: true`."""

    def undo(self, plan: Plan, outcome: Outcome, context: Context) -> Outcome:
        """Given the stored plan and what `run` did of it, take exactly that back. Raise as `run` does.

        It may be begun again after a crash only where the action is idempotent: then so must this be.
        """
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What something is done for: the alert as its remediation was frozen with it, and that one's number."""

    alert: Mapping[str, Any] = field(default_factory=dict)
    remediation: int = 0


def about_of(frozen: Frozen, remediation: int) -> About:
    """Given what is frozen and the remediation's number, return what its actions and probes may know of the alert."""
    alert = {
        "labels": dict(frozen.labels),
        "annotations": dict(frozen.annotations),
        "starts_at": frozen.starts_at,
        "fingerprint": frozen.fingerprint,
    }
    return About(alert, remediation)


class Dispatch(Protocol):
    """Where an action runs: here, or later on another host's agent. Without `about` it is for no alert."""

    def plan(
        self, host: str, action: str, arguments: Mapping[str, Any], timeout: float, *, about: About | None = None
    ) -> Plan:
        """Return what the action would do on `host`."""
        ...

    def run(self, host: str, action: str, plan: Plan, timeout: float, *, about: About | None = None) -> Outcome:
        """Do it on `host`."""
        ...

    def undo(
        self, host: str, action: str, plan: Plan, outcome: Outcome, timeout: float, *, about: About | None = None
    ) -> Outcome:
        """Take it back on `host`."""
        ...

    def probe(
        self, host: str, name: str, arguments: Mapping[str, Any], timeout: float, *, about: About | None = None
    ) -> Json:
        """Return what a probe sees on `host`; it only reads."""
        ...


class Reached(Protocol):
    """A named point on the way; the shipped one does nothing, a crash test's one kills the process."""

    def __call__(self, point: str, /) -> None:
        """Be told that `point` was reached."""
        ...


def nothing_happens(point: str, /) -> None:
    """Do nothing, whichever `point` it is: the shipped `Reached`."""
