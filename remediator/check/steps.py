"""Steps: what one must say before it may end something, and what must come after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remediator.actions import ACTIONS
from remediator.check.world import World
from remediator.model import Effect, Playbook, Step
from selfheal.common.problems import Problem

name = "steps"
CHOOSING: Mapping[str, tuple[str, ...]] = {
    "process.terminate": ("over_rss", "over_cpu"),
}
"""Destructive actions, and the arguments of which one must say what is ill enough to be touched."""
STARTING = frozenset({"service.restart", "service.start"})
"""Actions after which something runs that may not have run before."""


def check(world: World) -> Iterator[Problem]:
    """Yield everything a playbook's steps may not do, or do not say."""
    for playbook in world.playbooks:
        for index, step in enumerate(playbook.steps):
            yield from _step(playbook, index, step)
        yield from _alive(playbook)
        yield from _left_ended(playbook)


def destructive(playbook: Playbook) -> tuple[int, ...]:
    """Return the positions of the steps that cannot be taken back by themselves."""
    return tuple(i for i, step in enumerate(playbook.steps) if ACTIONS[step.action].effect is Effect.DESTRUCTIVE)


def _step(playbook: Playbook, index: int, step: Step) -> Iterator[Problem]:
    at = f"steps[{index}]"
    wanted = CHOOSING.get(step.action, ())
    if wanted and not any(step.arguments.get(key) is not None for key in wanted):
        what = f"{step.action} does not say what is ill enough to be touched"
        yield Problem(playbook.source, f"{at}.with", what, f"add {' or '.join(wanted)}")
    if step.always and index == 0:
        what = "is marked always and belongs to no step: there is none before it"
        yield Problem(playbook.source, f"{at}.always", what, "remove always or put the step it belongs to before it")


def ends_something(action: str, arguments: Mapping[str, Any]) -> bool:
    """Say whether a step ends or restarts something, so that only its being alive proves that it is well."""
    if action == "process.reap":
        return arguments.get("restart_parent") is True
    return action in ("process.terminate", "service.restart")


def _alive(playbook: Playbook) -> Iterator[Problem]:
    ending = [step.action for step in playbook.steps if ends_something(step.action, step.arguments)]
    if ending and playbook.verify is not None and playbook.verify.alive is None:
        what = f"is missing; {ending[0]} ends something, and what has ended is not ill any more either"
        remedy = "add an expression that returns something only while it is alive"
        yield Problem(playbook.source, "verify.alive", what, remedy)


def _left_ended(playbook: Playbook) -> Iterator[Problem]:
    """Yield a warning for each step that starts what one before it ended, and that a resolve in between would drop."""
    for index, step in enumerate(playbook.steps):
        if step.action not in STARTING or step.always or step.unless_healed:
            continue
        ended = [
            (position, before.action)
            for position, before in enumerate(playbook.steps[:index])
            if before.action not in STARTING and ends_something(before.action, before.arguments) and not before.undo
        ]
        if ended:
            position, action = ended[-1]
            what = f"is dropped if the alert is gone once steps[{position}], {action}, has ended something"
            remedy = "add always: true if it must start that again, unless_healed: true if it is a further attempt"
            yield Problem(playbook.source, f"steps[{index}]", what, remedy, "warning")
