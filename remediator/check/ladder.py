"""Ladders: every rung is tried once at most, each can help, and people stand at the end."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.world import World
from remediator.model import Mode, Playbook
from selfheal.common.problems import Problem

name = "ladder"
PEOPLE = "page_owner"
"""The last rung of every ladder."""


def check(world: World) -> Iterator[Problem]:
    """Yield every ladder that leads nowhere, in a circle, or past people."""
    known = {playbook.name: playbook for playbook in world.playbooks}
    for playbook in world.playbooks:
        if not playbook.otherwise:
            # then it is people's turn at once
            continue
        for index, rung in enumerate(playbook.otherwise):
            at, problem = f"otherwise[{index}]", _rung(playbook, index, rung, known)
            if problem is not None:
                yield Problem(playbook.source, at, *problem)
            elif rung in known and known[rung].mode is Mode.OBSERVE is not playbook.mode:
                what = f"{rung} is in mode observe, so a ladder of mode {playbook.mode.value} passes over it"
                yield Problem(playbook.source, at, what, f"give {rung} a mode of its own, or remove it", "warning")
        if playbook.otherwise[-1] != PEOPLE:
            what = f"the ladder ends with {playbook.otherwise[-1]}, not with people"
            yield Problem(playbook.source, "otherwise", what, f"end it with {PEOPLE}")
        if not playbook.trigger.alert:
            what = "no alert starts it, and nobody climbs the ladder of what a person started"
            yield Problem(playbook.source, "otherwise", what, "remove it, or name the alert in trigger", "warning")


def _rung(playbook: Playbook, index: int, rung: str, known: dict[str, Playbook]) -> tuple[str, str] | None:
    before = playbook.otherwise[:index]
    if PEOPLE in before:
        return f"{rung} stands after {PEOPLE}, where nobody climbs to", f"put it before {PEOPLE}, or remove it"
    if rung == playbook.name:
        return f"{rung} is this playbook itself: the ladder goes in a circle", "remove it, or raise limits.attempts"
    if rung in before:
        return f"{rung} stands in the ladder already: none is climbed to twice", "remove it"
    if rung != PEOPLE and rung not in known:
        return f"{rung} is neither a playbook nor {PEOPLE}", "mend the name"
    return None
