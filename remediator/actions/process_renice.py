"""Makes members of one process group nicer, so that others run first: all, or only those above a CPU share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.actions import _priorities, _processes
from remediator.actions._priorities import Setting
from remediator.errors import Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Outcome, Plan
from remediator.priorities import LOWEST_NICE, NICE, may_be_raised

name = "process.renice"
version = 1
effect = Effect.REVERSIBLE
idempotent = True
arguments: Mapping[str, Argument] = {
    "group": Argument(ArgumentType.GROUP, required=True),
    "nice": Argument(ArgumentType.NUMBER, required=True),
    "over_cpu": Argument(ArgumentType.NUMBER),
}


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if _setting(values["nice"]) is None:
        return f"nice is no whole number from 1 to {LOWEST_NICE}; nothing is ever made less nice"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a group, list its members that are less nice than wanted, with the nice value of each thread.

    Raise Refused if the policy forbids the group or every one of them; OSError if `/proc` cannot be read.
    """
    policy, group = context.policy, arguments["group"]
    grouping = _processes.grouping_of(policy, group)
    limit = arguments["over_cpu"]
    if limit is None:
        chosen = _processes.largest(policy, grouping, group, None)
    else:
        chosen = _processes.busiest(context, grouping, group, limit)
    found = _priorities.plan(chosen, group, _of(arguments), context)
    if found.items and not may_be_raised(policy.procfs):
        return Plan(found.items, {**found.detail, "undo_needs": "CAP_SYS_NICE"})
    return found


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, set exactly its threads. Raise Refused if none of its processes may be touched any more."""
    return _priorities.run(plan, _of(plan.detail), context)


def undo(plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Given what was done, give those threads their former nice values; the kernel asks for CAP_SYS_NICE for that."""
    return _priorities.undo(outcome, _of(plan.detail), context)


def _setting(nice: Any) -> Setting | None:
    whole = type(nice) in (int, float) and nice == int(nice) and 1 <= nice <= LOWEST_NICE
    return Setting(NICE, "nice", int(nice)) if whole else None


def _of(values: Mapping[str, Any]) -> Setting:
    setting = _setting(values.get("nice"))
    if setting is None:
        raise Refused(f"the stored plan names no nice value: {values!r:.200}")
    return setting
