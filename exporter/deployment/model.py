"""A deployment, its parts, what was found of each, and the rule that makes one state of them; values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeAlias


class State(StrEnum):
    """How a part, or a whole deployment, is."""

    HEALTHY = "healthy"  # there, and as it should be
    DEGRADED = "degraded"  # there, but not as it should be; or a part that is not needed is not there
    UNAVAILABLE = "unavailable"  # not there


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit that should be active."""

    name: str


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that should be listened on: a port, on every address or one, or a path."""

    text: str
    protocol: str
    """`tcp`, `udp` or `unix`."""
    address: str | None = None
    port: int = 0
    path: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that should run, and the socket of its engine, None for the usual places."""

    name: str
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """An address that tells which version runs there, and which should."""

    url: str
    field: tuple[str, ...] = ()
    """Keys from the outside in; empty means that the whole body is the version."""
    expect: str = ""
    expect_file: Path | None = None
    ca_file: Path | None = None


Asked: TypeAlias = Unit | Listener | Container | Version


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a deployment: what is asked, what it is called, and whether the whole cannot do without it."""

    kind: str
    name: str
    asked: Asked
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is deployed: its parts, how often they are asked, and how long each may take to answer."""

    name: str
    every: float
    timeout: float
    parts: tuple[Part, ...]


class Finding(NamedTuple):
    """What was found of a part: None if it could not be asked, which says nothing about the part itself."""

    state: State | None
    reason: str
    version: str | None = None
    expected: str | None = None


def judge(findings: Iterable[tuple[Part, Finding]]) -> State | None:
    """Given what was found of every part, return the state of the whole; None if it hangs on a part not known.

    Unavailable if a needed part is; else degraded if any part is not healthy; else healthy.
    """
    found = list(findings)
    if any(finding.state is State.UNAVAILABLE and part.needed for part, finding in found):
        return State.UNAVAILABLE
    if any(finding.state is None and part.needed for part, finding in found):
        # it could be unavailable, and then all is
        return None
    states = {finding.state for _, finding in found}
    if states & {State.DEGRADED, State.UNAVAILABLE}:
        return State.DEGRADED
    return None if None in states else State.HEALTHY
