"""What a kind of fault is: how it is made ready, how it is brought about, and how the world shows what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from benchmarks.healing.hosts import Host

Effect = Mapping[str, Any]


class Centre(Protocol):
    """What people and programs can do from outside the hosts."""

    def pause(self, host: Host, target: str) -> None:
        """Pause a target."""
        ...

    def silence(self, matchers: Mapping[str, str]) -> None:
        """Silence alerts that have these labels."""
        ...

    def deliver(self, host: Host, alert: str, about: Mapping[str, str]) -> None:
        """Deliver a firing alert to the host's remediator, as if it had crossed a silence on its way."""
        ...


class Shape(StrEnum):
    """What its rule looks at, which decides how soon it can be found and proven."""

    GAUGE = "gauge"  # a value: two scrapes
    SLOPE = "slope"  # a rate or slope over a window


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault. The functions are given the host; what they look at is the host itself, not its gauges."""

    name: str
    alert: str
    about: Mapping[str, str]
    """Labels of the alert that no other kind's alert on the same host has."""
    prepare: Callable[[Host], None]
    """Make everything that must be there while all is well, the decoys too."""
    inject: Callable[[Host], None]
    as_wanted: Callable[[Host], bool]
    """Say whether the world is as it should be in the end: the fault gone and what it befell well, or, where it is to
    be left to people, everything as the fault left it."""
    owns: Callable[[Host, Effect], bool]
    """Say whether a recorded effect was on what is ill."""
    playbook: str
    shape: Shape = Shape.GAUGE
    handed: str = ""
    """Empty: it is to be healed. Otherwise the reason with which it must be left to people, untouched."""
    touched: bool = False
    """It is left to people only after attempts, whose effects are in order."""
    cure: Callable[[Host], None] = lambda _host: None
    """End what is still ill, so that the next kind finds a quiet host."""
    before: Callable[[Host, Centre], None] = lambda _host, _centre: None
    """What people did before: a pause, a silence."""
    after: Callable[[Host, Centre], None] = lambda _host, _centre: None
    """What else happens once it is there."""
    busy: bool = False
    """It burns a core: all such kinds are given to one host, which has one fault at a time."""
    only: int | None = None
    """It is about the machine as a whole, whose gauges come from this host only."""
    directories: tuple[str, ...] = ()
    """What the exporter must count for it."""
    heartbeat: str = ""
    """The job whose reports its exporter must wait for."""
    probe: str = ""
    """What its exporter must ask."""
    services: Mapping[str, int] = field(default_factory=dict)
    """Watched services with their ports."""
    seconds: float = 50.0
    """About how long it takes, to spread kinds evenly."""

    def is_about(self, labels: Mapping[str, str]) -> bool:
        """Say whether an alert with these labels tells of this kind of fault."""
        return labels.get("alertname") == self.alert and self.about.items() <= labels.items()


def nothing(_host: Host, _effect: Effect) -> bool:
    """Own no effect: whatever happened was one too many."""
    return False
