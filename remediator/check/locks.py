"""Two playbooks that can reach the same processes, service or folder share a lock, so that they never act at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from remediator.actions import ACTIONS
from remediator.check.world import World
from remediator.model import ArgumentType, Playbook
from remediator.playbooks.templates import has_template
from selfheal.common.problems import Problem

name = "locks"
REACHING = frozenset(
    {
        ArgumentType.GROUP,
        ArgumentType.SERVICE,
        ArgumentType.UNIT,
        ArgumentType.ROOT,
        ArgumentType.TEMPLATE,
        ArgumentType.WORK_TREE,
        ArgumentType.CONTAINER,
        ArgumentType.PROGRAM,
    }
)


def check(world: World) -> Iterator[Problem]:
    """Yield each pair of playbooks that can touch the same thing under different locks."""
    for one, other in combinations(world.playbooks, 2):
        if _meet(one, other) and not _share(one, other):
            what = f"{other.name} and {one.name} can reach the same {' and '.join(_meet(one, other))} at the same time"
            remedy = "write lock: host in both, or lock: target with the same target in both"
            yield Problem(other.source, "limits.lock", what, remedy)


def _share(one: Playbook, other: Playbook) -> bool:
    if one.limits.lock != other.limits.lock:
        return False
    return one.limits.lock == "host" or dict(one.target) == dict(other.target)


def _meet(one: Playbook, other: Playbook) -> tuple[str, ...]:
    """Return the kinds of things that both can reach."""
    left, right = _reach(one), _reach(other)
    return tuple(
        kind.value
        for kind in sorted(REACHING)
        if any(_same(kind, a, b) for a in left.get(kind, ()) for b in right.get(kind, ()))
    )


def _reach(playbook: Playbook) -> dict[ArgumentType, list[str]]:
    found: dict[ArgumentType, list[str]] = {}
    for step in playbook.steps:
        for key, value in step.arguments.items():
            kind = ACTIONS[step.action].arguments[key].type
            if kind in REACHING and isinstance(value, str):
                found.setdefault(kind, []).append(value)
    return found


def _same(kind: ArgumentType, one: str, other: str) -> bool:
    if has_template(one) or has_template(other):
        return True
    if kind is ArgumentType.ROOT:
        return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
    return one == other
