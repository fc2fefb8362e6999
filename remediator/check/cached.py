"""Proof by series that the exporter reads apart from the scrape: a sample may be older than it looks.

Two samples newer than an action can both hold what was read before it. `healthy_for` must outlast one reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from remediator.check.answers import rules_of
from remediator.check.proof import sample
from remediator.check.world import World
from remediator.judge.parse import Unreadable, parse
from remediator.judge.tree import selectors
from remediator.model import Playbook
from selfheal.common.durations import format_duration
from selfheal.common.problems import Problem

name = "cached"
INTERVALS: Mapping[str, float] = {
    "node_systemd_": 15.0,
    "probe_": 15.0,
    "selfheal_probe_": 15.0,
    "selfheal_deployment_": 15.0,
    "selfheal_heartbeat_": 5.0,
    "selfheal_json_": 15.0,
    "selfheal_workspace_": 300.0,
}
"""Seconds between two readings unless the exporter is told otherwise, by the start of the series' names."""


def check(world: World) -> Iterator[Problem]:
    """Yield a warning for each proof that could rest on what was read before the action."""
    for playbook in world.playbooks:
        if playbook.verify is None:
            continue
        slowest = max(_asked(playbook, world), default=(0.0, ""))
        if playbook.verify.healthy_for < slowest[0]:
            interval, series = format_duration(slowest[0]), slowest[1]
            what = f"{series} is read every {interval} apart from the scrape, so proof could be from before the action"
            yield Problem(playbook.source, "verify.healthy_for", what, f"write at least {interval}", "warning")


def _asked(playbook: Playbook, world: World) -> Iterator[tuple[float, str]]:
    """Yield each series that proof is made of and that is read apart, with the seconds between two readings."""
    verify = playbook.verify
    declared = [text for text in (verify.healthy, verify.alive) if text is not None] if verify is not None else []
    for text in (*map(sample, declared), *(rule.expr for rule in rules_of(playbook, world))):
        try:
            found = selectors(parse(text))
        except Unreadable:
            # told where it is judged
            continue
        for selector in found:
            for start, interval in INTERVALS.items():
                if selector.name.startswith(start):
                    yield interval, selector.name
