"""Limits: a playbook that destroys has real ones, and history is kept for as long as they look back."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.steps import destructive
from remediator.check.world import World
from remediator.config import Config
from remediator.model import Limits, Playbook, Rate
from remediator.playbooks.templates import has_template
from selfheal.common.durations import format_duration
from selfheal.common.problems import Problem

name = "limits"
LOOSEST = 60.0
"""Seconds: what lets a playbook begin more often than this, on and on, limits nothing."""


def check(world: World) -> Iterator[Problem]:
    """Yield every destructive playbook that nothing would stop, and every limit that looks back too far."""
    for playbook in world.playbooks:
        if destructive(playbook):
            yield from _missing(playbook)
        if world.config is not None:
            yield from _forgotten(playbook, world.config)


def _missing(playbook: Playbook) -> Iterator[Problem]:
    limits, action = playbook.limits, playbook.steps[destructive(playbook)[0]].action
    if limits.cooldown == 0:
        what = f"is 0s, and {action} destroys: it could follow upon itself before anything is measured anew"
        yield Problem(playbook.source, "limits.cooldown", what, "write for example 10m", "warning")
    elif all(span < LOOSEST for span in (limits.cooldown, *(rate.window / rate.count for rate in limits.rate))):
        what = f"lets {action} begin more than once a minute, on and on"
        remedy = f"write for example [{_text(Limits().rate[0])}], or a longer cooldown"
        yield Problem(playbook.source, "limits.rate", what, remedy, "warning")
    if limits.lock == "target" and limits.blast_radius is None and any(map(has_template, _names(playbook))):
        what = "is missing, and with lock: target nothing says how many targets may be touched at the same time"
        remedy = "add it, for example {by: [job], max: 20%}, or write lock: host"
        yield Problem(playbook.source, "limits.blast_radius", what, remedy, "warning")


def _names(playbook: Playbook) -> list[str]:
    return [text for key, text in playbook.target.items() if key != "host"]


def _forgotten(playbook: Playbook, config: Config) -> Iterator[Problem]:
    """Yield each limit of the playbook's own that looks back further than history is kept."""
    limits, radius, kept = playbook.limits, playbook.limits.blast_radius, config.retention
    spans = [] if limits.cooldown == config.limits.cooldown else [("cooldown", limits.cooldown)]
    if limits.rate != config.limits.rate:
        spans += [(f"rate[{index}]", rate.window) for index, rate in enumerate(limits.rate)]
    spans += [("blast_radius.window", radius.window)] if radius else []
    for key, span in spans:
        if span > kept:
            what = f"looks back {format_duration(span)}, and history is kept for {format_duration(kept)}"
            yield Problem(playbook.source, f"limits.{key}", what, "shorten it, or raise retention in the configuration")


def _text(rate: Rate) -> str:
    return f"{rate.count}/{format_duration(rate.window)}"
