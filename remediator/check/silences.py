"""Silences that a playbook makes: none may keep from people that it did not help."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.world import World
from remediator.model import Playbook
from selfheal.common.durations import format_duration, parse_duration
from selfheal.common.problems import Problem

name = "silences"
SILENCING = "silence.create"


def check(world: World) -> Iterator[Problem]:
    """Yield a warning for each silence that outlasts what it is made for."""
    for playbook in world.playbooks:
        for index, step in enumerate(playbook.steps):
            if step.action != SILENCING:
                continue
            at = f"steps[{index}]"
            if not step.undo:
                what = "is left standing when a later step fails, and hides that from people and from the ladder"
                yield Problem(playbook.source, at, what, "add undo: true", "warning")
            wanted, longest = _seconds(step.arguments.get("for")), _known_after(playbook, index)
            if wanted > longest:
                what = f"{format_duration(wanted)} is longer than it takes to know whether it helped"
                remedy = f"lower it to {format_duration(longest)}: until it ends nobody hears that it did not"
                yield Problem(playbook.source, f"{at}.with.for", what, remedy, "warning")


def _known_after(playbook: Playbook, index: int) -> float:
    """Return the seconds after a step begins until it is known at the latest how its remediation went."""
    proof = 0.0 if playbook.verify is None else playbook.verify.within
    return sum(step.timeout for step in playbook.steps[index:]) + proof


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else parse_duration(str(value))
