"""Lets members of one process group wait for the disk longer than others: a lower io priority."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.actions import _priorities, _processes
from remediator.actions._priorities import Setting
from remediator.errors import Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Outcome, Plan
from remediator.priorities import BEST_EFFORT, IDLE, IO, LEVELS, io_parts, io_value

name = "process.ionice"
version = 1
effect = Effect.REVERSIBLE
idempotent = True
arguments: Mapping[str, Argument] = {
    "group": Argument(ArgumentType.GROUP, required=True),
    "class": Argument(ArgumentType.TEXT, required=True),
    "level": Argument(ArgumentType.NUMBER),
}

CLASSES: Mapping[str, int] = {"best_effort": BEST_EFFORT, "idle": IDLE}
"""Classes that may be set; that of real time can hold up everybody else."""
DEFAULT_LEVEL = LEVELS - 1


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    kind, level = CLASSES.get(values["class"]), values["level"]
    if kind is None:
        return f"class {values['class']!r} is none that is set; there are {', '.join(CLASSES)}"
    if level is None:
        return None
    if kind == IDLE:
        return "level belongs to the class best_effort; remove it"
    if level != int(level) or not 0 <= level < LEVELS:
        return f"level is no whole number from 0 to {LEVELS - 1}; the largest waits longest"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a group, list its members that are served before the wanted class and level, with each thread's own.

    Raise Refused if the policy forbids the group or every one of them; OSError if `/proc` cannot be read.
    """
    policy, group = context.policy, arguments["group"]
    kind, level = CLASSES[arguments["class"]], arguments["level"]
    wanted = io_value(kind, 0 if kind == IDLE else int(DEFAULT_LEVEL if level is None else level))
    chosen = _processes.largest(policy, _processes.grouping_of(policy, group), group, None)
    return _priorities.plan(chosen, group, Setting(IO, "ioprio", wanted), context)


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, set exactly its threads. Raise Refused if none of its processes may be touched any more."""
    return _priorities.run(plan, _of(plan), context)


def undo(plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Given what was done, give those threads the io priority that they had."""
    return _priorities.undo(outcome, _of(plan), context)


def _of(plan: Plan) -> Setting:
    value = plan.detail.get("ioprio")
    if type(value) is not int or io_parts(value)[0] not in CLASSES.values() or value != io_value(*io_parts(value)):
        raise Refused(f"the stored plan names no io priority: {plan.detail!r:.200}")
    return Setting(IO, "ioprio", value)
