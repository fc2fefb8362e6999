"""Builds what the stages work with for one scenario: the product's parts, where nothing reaches the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NoReturn

from remediator.alarm import Alarm
from remediator.config import Config
from remediator.model import About, Action, Json, Outcome, Plan, Playbook
from remediator.monitoring import MonitoringWatch
from remediator.parts import Jumps, Parts
from remediator.playbooks.match import Site
from remediator.replay.evidence import Recorded
from remediator.store.memory import MemoryStore
from remediator.trust import Rungs
from remediator.windows import Windows
from selfheal.common.clock import ManualClock

PLANNED = "replay"
"""The kind of the one thing that every plan touches here: what there would have been to touch is not known."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is tried out."""

    config: Config
    playbooks: tuple[Playbook, ...]
    actions: Mapping[str, Action]
    every_host: frozenset[str] = frozenset()
    """Instances taken for hosts of their own beside the configured one."""


class SimulatedClock(ManualClock):
    """A clock that is set to the next event."""

    def move_to(self, now: float) -> None:
        """Let it be `now`; it never goes back."""
        if now > self._now:
            # both by the same sum, and the wall clock exactly
            self._monotonic += now - self._now
            self._now = now


class NoDispatch:
    """Plans one thing and does nothing."""

    def plan(
        self, host: str, action: str, arguments: Mapping[str, Any], timeout: float, *, about: About | None = None
    ) -> Plan:
        """Return a plan that touches one thing without a name."""
        del arguments, timeout, about
        return Plan(({"kind": PLANNED, "host": host, "action": action},))

    def run(self, host: str, action: str, plan: Plan, timeout: float, *, about: About | None = None) -> Outcome:
        """Do nothing, and say that it went well."""
        del host, action, timeout, about
        return Outcome(True, plan.items)

    def undo(
        self, host: str, action: str, plan: Plan, outcome: Outcome, timeout: float, *, about: About | None = None
    ) -> Outcome:
        """Do nothing, and say that it went well."""
        del host, action, outcome, timeout, about
        return Outcome(True, plan.items)

    def probe(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing is looked at: probes were taken out of the playbooks."""
        raise RuntimeError("replay ran a probe")


class NoAlarm(Alarm):
    """Tells nobody and writes nothing."""

    def __init__(self) -> None:
        # neither the file of open problems nor a command is known here
        self._open = {}

    def problems(self) -> list[Json]:
        """There are none."""
        return []

    def tell(self, what: object, **fields: object) -> NoReturn:
        """Nobody watches the watchdog here."""
        del fields
        raise RuntimeError(f"replay told people of {what}")

    def over(self, what: object, **fields: object) -> bool:
        """Nothing was wrong."""
        del what, fields
        return False


class NoCounters:
    """Counts nothing."""

    def count(self, metric: str, **labels: str) -> None:
        """Count nothing."""

    def observe(self, metric: str, value: float, **labels: str) -> None:
        """Keep nothing."""


@dataclass(frozen=True, slots=True)
class FleetConfig(Config):
    """A configuration that takes further instances for hosts of their own."""

    others: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def hosts(self) -> Mapping[str, tuple[str, ...]]:
        """Every host with its `instance` values."""
        return {self.host.name: self.host.instances, **self.others}


def with_hosts(config: Config, instances: frozenset[str]) -> Config:
    """Given a configuration and instances that are hosts too, return one that knows them all."""
    others = {name: (name,) for name in sorted(instances) if not config.hosts_of(name)}
    if not others:
        return config
    return FleetConfig(**{each.name: getattr(config, each.name) for each in fields(config)}, others=others)


def parts_of(setting: Setting, store: MemoryStore, evidence: Recorded, clock: SimulatedClock, rungs: Rungs) -> Parts:
    """Return what the stages work with; `rungs` are those that playbooks have lost or earned so far."""
    config = with_hosts(setting.config, setting.every_host)
    windows = Windows(config.windows)
    # what probes would see is not known, and they decide nothing
    playbooks = tuple(replace(playbook, diagnose=()) for playbook in setting.playbooks)
    watch = MonitoringWatch(
        store, evidence.scraping, clock, config.monitoring, config.scrape_interval, lambda _source: None
    )
    return Parts(
        config=config,
        store=store,
        evidence=evidence,
        clock=clock,
        playbooks=lambda: rungs.in_force(playbooks),
        site=Site(config.hosts, setting.actions, config.highest_mode, config.host_rates),
        actions=setting.actions,
        dispatch=NoDispatch(),
        pause=lambda _frozen: None,
        window=lambda frozen: windows.open(frozen.playbook, str(frozen.target), clock.now()),
        clock_jumped=lambda: False,
        monitoring=watch.look,
        jumps=Jumps(clock),
        counters=NoCounters(),
        alarm=NoAlarm(),
        started=clock.monotonic(),
    )
