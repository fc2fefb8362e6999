"""What plug-ins and rooms promise each other: actions, dispatch, and the named points of a crash test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from remediator.model.states import Effect
from remediator.model.values import Outcome, Plan


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


class Dispatch(Protocol):
    """Where an action runs: here, or later on another host's agent."""

    def plan(self, host: str, action: str, arguments: Mapping[str, Any], timeout: float) -> Plan:
        """Return what the action would do on `host`."""
        ...

    def run(self, host: str, action: str, plan: Plan, timeout: float) -> Outcome:
        """Do it on `host`."""
        ...


class Reached(Protocol):
    """A named point on the way; the shipped one does nothing, a crash test's one kills the process."""

    def __call__(self, point: str, /) -> None:
        """Be told that `point` was reached."""
        ...


def nothing_happens(point: str, /) -> None:
    """Do nothing, whichever `point` it is: the shipped `Reached`."""
