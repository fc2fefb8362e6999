"""Histories written by hand, and the settings that they are replayed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remediator.actions import ACTIONS
from remediator.config.reading import load
from remediator.model import Event
from remediator.playbooks.loader import load_playbooks
from remediator.replay import Healing, Known, Period, Recording, Scenario, Series, Setting, Source, members
from remediator.replay.simulation import Simulation
from remediator.replay.tally import Tally

BEGIN = 1_750_000_000.0
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
STEP = "steps: [{action: process.terminate, with: {group: worker, over_rss: 400MiB, grace: 5s}}]\n"
PROOF = "verify: {healthy_for: 30s, within: 2m, watch: 10m}\n"
LIMITS = "limits: {cooldown: 0s, rate: [1000/1h], lock: target}\n"
CONFIG = """state: state
prometheus: {url: "http://127.0.0.1:1"}
alertmanagers: [{url: "http://127.0.0.1:1"}]
hosts: {web-0: {instances: [web-0]}}
playbooks: [playbooks/*.yml]
highest_mode: auto
"""
LIFTED = """limits: {rate: [100000/1h]}
breaker: {minimum: 1000000}
repeats: {most: 1000000}
monitoring: {targets: 100000}
"""


def playbook(name: str, alert: str = "Sick", mode: str = "auto", limits: str = LIMITS, proof: str = PROOF) -> str:
    """Return a playbook's text."""
    head = f"playbook: {name}\ntrigger: {{alert: {alert}}}\nmode: {mode}\notherwise: [page_owner]\n"
    return head + 'target: {host: "{{ $labels.instance }}", item: thing}\n' + limits + STEP + proof


def setting(folder: Path, playbooks: Sequence[str], more: str = LIFTED, hosts: Sequence[str] = ()) -> Setting:
    """Write a configuration with these playbooks, and return it as it is read."""
    path = write(folder, playbooks, more)
    config = load(path)
    return Setting(config, load_playbooks(config.playbooks, config.limits, ACTIONS), ACTIONS, frozenset(hosts))


def write(folder: Path, playbooks: Sequence[str], more: str = LIFTED) -> Path:
    """Write a configuration with these playbooks; return its path."""
    (folder / "playbooks").mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(playbooks):
        (folder / "playbooks" / f"{number}.yml").write_text(text, encoding="utf-8")
    path = folder / "remediator.yml"
    path.write_text(CONFIG + more, encoding="utf-8")
    return path


def on(*spans: tuple[float, float | None], alert: str = "Sick", instance: str = "web-0", **labels: str) -> Series:
    """Return an alert that was on in these spans, in seconds since the beginning."""
    periods = tuple(Period(BEGIN + begin, None if end is None else BEGIN + end) for begin, end in spans)
    return Series({"alertname": alert, "instance": instance, **labels}, periods)


def recording(*series: Series, length: float = DAY) -> Recording:
    """Return a recording of so many seconds."""
    return Recording(Source.OPENMETRICS, BEGIN, BEGIN + length, series, 15.0)


@dataclass
class Heard:
    """What a replay came to, with every event on the way."""

    tally: Tally
    events: list[Event] = field(default_factory=list)

    def moves(self, number: int) -> list[tuple[float, str, str | None]]:
        """Return when a remediation went where and why, in seconds since the beginning."""
        return [
            (round(event.at - BEGIN, 3), str(event.new), event.reason and event.reason.value)
            for event in self.events
            if event.kind == "moved" and event.remediation_id == number
        ]

    def said(self) -> dict[tuple[str, str, str], tuple[int, float]]:
        """Return how many alerts each guard stopped or held, and for how many seconds."""
        return {
            (said.guard, said.answer, said.reason): (stopped.alerts, round(stopped.seconds, 3))
            for said, stopped in self.tally.guards.items()
        }


def replayed(
    what: Recording,
    how: Setting,
    healing: Healing = Healing.ALL,
    approve_after: float | None = None,
    *,
    passes_over: bool = True,
) -> Heard:
    """Run one scenario."""
    instances = what.instances()
    known = Known(None, members([each.labels for each in what.series]), lambda _at: len(instances))
    simulation = Simulation(what, how, known, Scenario(healing, approve_after, passes_over=passes_over))
    heard = Heard(simulation.tally)
    tell: Any = simulation._told

    def told(event: Event) -> None:
        heard.events.append(event)
        tell(event)

    simulation._told = told  # type: ignore[method-assign]
    simulation.run()
    return heard
