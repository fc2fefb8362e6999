"""Steps marked `unless_healed`: something before them could have healed it, and that can be judged in time."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.actions import ACTIONS
from remediator.check.answers import rules_of
from remediator.check.proof import sample
from remediator.check.rules import Rule
from remediator.check.world import World, rule_text
from remediator.judge import ExpressionCase, Refusal, prepare, prepare_expression
from remediator.model import Effect, Playbook
from remediator.run import HOLD_BETWEEN_STEPS
from selfheal.common.durations import format_duration
from selfheal.common.problems import Problem

name = "unless_healed"
SAMPLES = 2
"""Scrapes that are awaited after the step before."""


def check(world: World) -> Iterator[Problem]:
    """Yield every mark that means nothing, or that would always end in `not_judged`."""
    for playbook in world.playbooks:
        marked = [index for index, step in enumerate(playbook.steps) if step.unless_healed]
        for index in marked:
            if not any(_touches(step.action) for step in playbook.steps[:index]):
                what = "no step before it has an effect that could have healed anything"
                yield Problem(playbook.source, _at(index), what, "remove unless_healed, or put such a step before it")
        if not marked:
            continue
        if playbook.verify is None:
            what = "nothing is judged with verify: none, so the step would always be dropped as not_judged"
            yield Problem(playbook.source, _at(marked[0]), what, "write verify, or remove unless_healed")
            continue
        for rule in rules_of(playbook, world):
            yield from _in_time(playbook, marked[0], rule, world)


def _touches(action: str) -> bool:
    return ACTIONS[action].effect is not Effect.READ_ONLY


def _at(index: int) -> str:
    return f"steps[{index}].unless_healed"


def _in_time(playbook: Playbook, index: int, rule: Rule, world: World) -> Iterator[Problem]:
    window = _window(playbook, rule, world)
    if window is None:
        what = f"{rule.name} cannot be judged, so the step would always be dropped as not_judged"
        yield Problem(playbook.source, _at(index), what, "declare verify.healthy, or remove unless_healed")
        return
    needed = window + SAMPLES * world.scrape_interval
    if needed > HOLD_BETWEEN_STEPS:
        what = (
            f"{rule.name} is judged {format_duration(needed)} after the step before, and the step is dropped as "
            f"not_judged after {format_duration(HOLD_BETWEEN_STEPS)}"
        )
        yield Problem(playbook.source, _at(index), what, "declare verify.healthy over a shorter window, or remove it")


def _window(playbook: Playbook, rule: Rule, world: World) -> float | None:
    """Return how many seconds must lie between two steps beside the samples; None where it cannot be judged."""
    healthy = playbook.verify.healthy if playbook.verify is not None else None
    if healthy is not None:
        declared = prepare_expression(sample(healthy), world.recorded)
        return declared.window_seconds if isinstance(declared, ExpressionCase) else None
    case = prepare(rule_text(rule, world.scrape_interval), world.recorded)
    # that it is sick still is only known once the whole expression lies after the step
    return None if isinstance(case, Refusal) else case.longest_seconds
