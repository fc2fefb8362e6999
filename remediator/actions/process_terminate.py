"""Ends members of one process group: all, or only those above a size or a CPU share; kills what outlives the grace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any

from remediator.actions import _processes
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.signals import Identity, hold_all, identify
from selfheal.common.processes import Grouping, Process, members
from selfheal.common.procfs import TICKS_PER_SECOND

name = "process.terminate"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = True
arguments: Mapping[str, Argument] = {
    "group": Argument(ArgumentType.GROUP, required=True),
    "over_rss": Argument(ArgumentType.BYTES),
    "over_cpu": Argument(ArgumentType.NUMBER),
    "grace": Argument(ArgumentType.DURATION, default="5s"),
}

SAMPLE_SECONDS = 0.5
"""Between the two readings that a CPU share is made of."""


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if values["over_rss"] is not None and values["over_cpu"] is not None:
        return "over_rss and over_cpu stand together; keep the one that the alert is about"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a group, list its members as they are now, those above the limit, the worst first.

    Raise Refused if the policy forbids the group or every one of them; OSError if `/proc` cannot be read.
    """
    policy, group = context.policy, arguments["group"]
    grouping = _processes.grouping_of(policy, group)
    if arguments["over_cpu"] is not None:
        chosen = _over_cpu(context, grouping, group, arguments["over_cpu"])
    else:
        chosen = _over_rss(members(policy.procfs, grouping).get(group, ()), arguments["over_rss"])
    listed = [(identify(process, group, policy.procfs), why) for process, why in chosen]
    found = _processes.permitted(listed, policy)
    return Plan(found.items, {**found.detail, "group": group, "grace": arguments["grace"]})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, end exactly its processes; those that ended meanwhile are done.

    Raise Refused if processes of it are left and none may be signalled any more.
    """
    identities = [Identity.of_item(item) for item in plan.items]
    with hold_all(identities, context.policy) as (held, refused):
        if refused and not held:
            raise _processes.none_may(refused)
        context.reached("effect_begun")
        effects, wrong = _processes.end_all(held, float(plan.detail.get("grace", 5.0)), context)
        context.reached("effect_done")
    detail: Json = {**_processes.left_out(refused), **wrong}
    return Outcome(not wrong, tuple(effects), detail)


def _over_rss(found: Sequence[Process], limit: int | None) -> list[tuple[Process, Json]]:
    """Return the members above `limit` resident bytes (all without a limit), the largest first."""
    chosen = [process for process in found if limit is None or process.resident_bytes > limit]
    chosen.sort(key=lambda process: process.resident_bytes, reverse=True)
    return [(process, {"resident_bytes": process.resident_bytes}) for process in chosen]


def _over_cpu(context: Context, grouping: Grouping, group: str, limit: float) -> list[tuple[Process, Json]]:
    """Return the members that used more than `limit` cores between two readings, the busiest first."""
    read: Callable[[], tuple[Process, ...]] = lambda: members(context.policy.procfs, grouping).get(group, ())  # noqa: E731
    begun = context.monotonic()
    before = {(process.pid, process.start_ticks): process.cpu_ticks for process in read()}
    if not before:
        return []
    Event().wait(SAMPLE_SECONDS)
    after = read()
    seconds = max(context.monotonic() - begun, SAMPLE_SECONDS)
    used = {
        process: (process.cpu_ticks - before[(process.pid, process.start_ticks)]) / TICKS_PER_SECOND / seconds
        for process in after
        if (process.pid, process.start_ticks) in before
    }
    chosen = sorted((process for process in used if used[process] > limit), key=used.__getitem__, reverse=True)
    return [(process, {"cpu_cores": round(used[process], 3)}) for process in chosen]
