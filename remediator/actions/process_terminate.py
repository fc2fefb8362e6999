"""Ends members of one process group: all, or only the large, idle or busy ones; kills what outlives the grace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.actions import _processes
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.signals import Identity, hold_all, identify

name = "process.terminate"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = True
arguments: Mapping[str, Argument] = {
    "group": Argument(ArgumentType.GROUP, required=True),
    "over_rss": Argument(ArgumentType.BYTES),
    "over_cpu": Argument(ArgumentType.NUMBER),
    "under_cpu": Argument(ArgumentType.NUMBER),
    "most": Argument(ArgumentType.NUMBER),
    "grace": Argument(ArgumentType.DURATION, default="5s"),
}


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if values["over_rss"] is not None and values["over_cpu"] is not None:
        return "over_rss and over_cpu stand together; keep the one that the alert is about"
    if values["under_cpu"] is not None and values["over_rss"] is None:
        return "under_cpu chooses among large members; add over_rss"
    if values["most"] is not None and (values["most"] != int(values["most"]) or values["most"] < 1):
        return "most is no whole number from 1 on; write how many may be ended at once"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a group, list its members as they are now, those above the limit, the worst first.

    Raise Refused if the policy forbids the group or every one of them; OSError if `/proc` cannot be read.
    """
    policy, group = context.policy, arguments["group"]
    grouping = _processes.grouping_of(policy, group)
    if arguments["over_cpu"] is not None:
        chosen = _processes.busiest(context, grouping, group, arguments["over_cpu"])
    else:
        chosen = _processes.largest(policy, grouping, group, arguments["over_rss"])
    if arguments["under_cpu"] is not None:
        chosen = _processes.idle(chosen, context, grouping, group, arguments["under_cpu"])
    listed = [(identify(process, group, policy.procfs), why) for process, why in chosen]
    found = _processes.permitted(listed, policy)
    detail = {**found.detail, "group": group, "grace": arguments["grace"]}
    if arguments["most"] is None or len(found.items) <= arguments["most"]:
        return Plan(found.items, detail)
    most = int(arguments["most"])
    return Plan(found.items[:most], {**detail, "beyond_most": len(found.items) - most})


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
