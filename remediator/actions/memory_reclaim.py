"""Has a unit of systemd give back memory to the kernel: `memory.reclaim` of its control group, version 2 alone.

What the kernel can write elsewhere (to swap, or pages of files that it can read again) it takes; nothing is ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.errors import Refused
from remediator.kernel import Cgroup, find_cgroup, reclaim
from remediator.model import Argument, ArgumentType, Context, Effect, Outcome, Plan

name = "memory.reclaim"
version = 1
effect = Effect.DESTRUCTIVE
"""It ends nothing, but what was given back cannot be put back: it is read again when it is needed, at its own cost."""
idempotent = True
arguments: Mapping[str, Argument] = {
    "unit": Argument(ArgumentType.UNIT, required=True),
    "amount": Argument(ArgumentType.BYTES, required=True),
}


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a unit and an amount, return how much its control group would be asked for: at most what it holds.

    Empty where this kernel cannot reclaim, the unit does not run, or nothing is charged to it. Raise Refused if the
    policy does not permit it, ActionFailed if systemd does not tell of the unit.
    """
    unit, amount = arguments["unit"], arguments["amount"]
    found = find_cgroup(unit, context.policy, context.deadline, context.monotonic)
    if found is None:
        why = "no control group of version 2 with memory.reclaim: another version, an older kernel, or it does not run"
        return Plan((), {"unit": unit, "why": why})
    wanted = min(amount, found.current)
    item = {
        "kind": "memory",
        "unit": unit,
        "cgroup": found.path,
        "inode": found.inode,
        "bytes": wanted,
    }
    return Plan((item,) if wanted else (), {"unit": unit, "current_bytes": found.current})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, ask the control group for its bytes, in parts.

    The kernel gives what it can: less than was asked for is no failure, none at all is one. Raise Refused if the unit
    was started anew or may not be touched any more.
    """
    found, amount = _of_item(plan)
    context.reached("effect_begun")
    before, after, why = reclaim(found, amount, context.policy, context.deadline, context.monotonic)
    context.reached("effect_done")
    freed = max(0, before - after)
    detail: dict[str, Any] = {"unit": found.unit, "asked_bytes": amount, "before_bytes": before, "after_bytes": after}
    if why is not None:
        detail["stopped_because"] = why
    effect = {"kind": "memory", "unit": found.unit, "bytes": freed}
    return Outcome(freed > 0 or why is None, (effect,), detail)


def _of_item(plan: Plan) -> tuple[Cgroup, int]:
    """Return the planned control group and amount. Raise Refused if the stored plan names none."""
    item = plan.items[0] if len(plan.items) == 1 else {}
    values = [item.get(key) for key in ("unit", "cgroup", "inode", "bytes")]
    if item.get("kind") != "memory" or [type(value) for value in values] != [str, str, int, int] or item["bytes"] <= 0:
        raise Refused(f"the stored plan names no memory of a unit: {item!r:.200}")
    return Cgroup(item["unit"], item["cgroup"], item["inode"], 0), item["bytes"]
