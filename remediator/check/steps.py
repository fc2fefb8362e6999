"""Steps, modes and the ladder: what a playbook may do without a person, and what it must say beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remediator.check.world import World
from remediator.model import Mode, Playbook, Step
from selfheal.common.problems import Problem

name = "steps"
PEOPLE = "page_owner"
"""The last rung of every ladder."""
CHOOSING: Mapping[str, tuple[str, ...]] = {
    "process.terminate": ("over_rss", "over_cpu"),
}
"""Destructive actions, and the arguments of which one must say what is ill enough to be touched."""


def check(world: World) -> Iterator[Problem]:
    """Yield everything a playbook may not do, or does not say."""
    if world.config is not None and world.config.highest_mode is Mode.APPROVE:
        yield Problem(str(world.config.file), "highest_mode", *_NO_APPROVALS)
    for playbook in world.playbooks:
        yield from _mode(playbook)
        for index, step in enumerate(playbook.steps):
            yield from _step(playbook, index, step)
        yield from _alive(playbook)
        yield from _ladder(playbook, world)


_NO_APPROVALS = ("approvals cannot be asked for yet", "write observe or auto")


def _mode(playbook: Playbook) -> Iterator[Problem]:
    if playbook.mode is Mode.APPROVE:
        yield Problem(playbook.source, "mode", *_NO_APPROVALS)


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
        return arguments.get("terminate_parent") is True
    return action in ("process.terminate", "service.restart")


def _alive(playbook: Playbook) -> Iterator[Problem]:
    ending = [step.action for step in playbook.steps if ends_something(step.action, step.arguments)]
    if ending and playbook.verify is not None and playbook.verify.alive is None:
        what = f"is missing; {ending[0]} ends something, and what has ended is not ill any more either"
        remedy = "add an expression that returns something only while it is alive"
        yield Problem(playbook.source, "verify.alive", what, remedy)


def _ladder(playbook: Playbook, world: World) -> Iterator[Problem]:
    names = {other.name for other in world.playbooks} | {PEOPLE}
    for index, rung in enumerate(playbook.otherwise):
        if rung not in names:
            what = f"{rung} is neither a playbook nor {PEOPLE}"
            yield Problem(playbook.source, f"otherwise[{index}]", what, "mend the name")
    if playbook.otherwise and playbook.otherwise[-1] != PEOPLE:
        what = f"the ladder ends with {playbook.otherwise[-1]}, not with people"
        yield Problem(playbook.source, "otherwise", what, f"end it with {PEOPLE}")
