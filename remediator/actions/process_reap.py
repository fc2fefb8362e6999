"""Tells parents in one process group to collect their ended children; ends a parent only if that is asked for.

What starts the parent starts it anew; its zombies are then collected by the system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from remediator.actions import _processes
from remediator.errors import Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.signals import SIGCHLD, Held, Identity, hold_all, identify
from selfheal.common.processes import Process, read_process, zombie_children

name = "process.reap"
version = 2
effect = Effect.DESTRUCTIVE
idempotent = True
arguments: Mapping[str, Argument] = {
    "group": Argument(ArgumentType.GROUP, required=True),
    "restart_parent": Argument(ArgumentType.SWITCH, default=False),
    "grace": Argument(ArgumentType.DURATION, default="5s"),
}

LOOK_SECONDS = 0.05
"""Between two looks whether the zombies are gone: nothing tells us when somebody else's child is collected."""
MOST_LISTED = 1000
"""Zombies listed in one plan, of all parents."""


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a group, list its members that have ended children and have not collected them, with those children.

    Raise Refused if the policy forbids the group or every such parent; OSError if `/proc` cannot be read.
    """
    policy, group = context.policy, arguments["group"]
    pairs = zombie_children(policy.procfs, _processes.grouping_of(policy, group)).get(group, ())
    parents: dict[Process, list[Json]] = {}
    for zombie, parent in pairs[:MOST_LISTED]:
        parents.setdefault(parent, []).append({"pid": zombie.pid, "start_ticks": zombie.start_ticks})
    by_number = sorted(parents.items(), key=lambda pair: len(pair[1]), reverse=True)
    listed = [(identify(parent, group, policy.procfs), {"zombies": zombies}) for parent, zombies in by_number]
    found = _processes.permitted(listed, policy)
    detail = {"group": group, "grace": arguments["grace"], "restart_parent": arguments["restart_parent"]}
    if len(pairs) > MOST_LISTED:
        detail["zombies_beyond_limit"] = len(pairs) - MOST_LISTED
    return Plan(found.items, {**found.detail, **detail})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, send SIGCHLD to its parents that still have zombies of it, and wait for those to go.

    Only with `restart_parent` a parent that still has some after the grace is then ended. Raise Refused if parents are
    left and none may be signalled any more.
    """
    procfs = context.policy.procfs
    zombies = {Identity.of_item(item): _zombies_of(item) for item in plan.items}
    waiting = [parent for parent, children in zombies.items() if _left(procfs, parent, children)]
    with hold_all(waiting, context.policy) as (held, refused):
        if refused and not held:
            raise _processes.none_may(refused)
        context.reached("effect_begun")
        effects, forbidden = _tell(held)
        grace = float(plan.detail.get("grace", 5.0))
        deaf = _wait(procfs, held, zombies, grace, context)
        detail: Json = {**_processes.left_out([*refused, *forbidden])}
        if deaf and plan.detail.get("restart_parent") is True:
            ended, wrong = _processes.end_all(deaf, grace, context)
            effects += ended
            detail |= wrong
            deaf = _wait(procfs, deaf, zombies, grace, context)
        context.reached("effect_done")
    remaining = {one.identity.pid: _left(procfs, one.identity, zombies[one.identity]) for one in deaf}
    if remaining:
        detail["zombies_left"] = [{"parent": pid, "zombies": count} for pid, count in remaining.items()]
    ok = not remaining and not forbidden and "still_there" not in detail
    return Outcome(ok, tuple(effects), detail)


def _tell(held: Sequence[Held]) -> tuple[list[Json], list[Json]]:
    effects, forbidden = [], []
    for one in held:
        try:
            if one.send(SIGCHLD):
                effects.append({**one.identity.to_item(), "signals": ["SIGCHLD"]})
        except Refused as error:
            forbidden.append({"pid": one.identity.pid, "why": error.detail})
    return effects, forbidden


def _wait(
    procfs: Path,
    held: Sequence[Held],
    zombies: Mapping[Identity, Sequence[tuple[int, int]]],
    seconds: float,
    context: Context,
) -> list[Held]:
    """Wait until no zombie of the plan is left, at most `seconds`; return the parents that still have some."""
    end_at = min(context.monotonic() + seconds, context.deadline)
    pause = Event()
    while True:
        held = [one for one in held if _left(procfs, one.identity, zombies[one.identity])]
        if not held or context.monotonic() >= end_at:
            return list(held)
        pause.wait(LOOK_SECONDS)


def _left(procfs: Path, parent: Identity, zombies: Sequence[tuple[int, int]]) -> int:
    """Return how many of the zombies are still there and still this parent's; one that cannot be read counts."""
    count = 0
    for pid, start_ticks in zombies:
        try:
            process = read_process(procfs, pid)
        except OSError:
            count += 1
            continue
        if process is not None and process.is_zombie and process.start_ticks == start_ticks:
            count += process.ppid == parent.pid
    return count


def _zombies_of(item: Json) -> list[tuple[int, int]]:
    try:
        return [(int(zombie["pid"]), int(zombie["start_ticks"])) for zombie in item["zombies"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"the stored plan names no zombies: {item!r:.200}") from error
