"""Keeps a unit of systemd below a CPU share or a size until the next boot; what applied before can be put back.

A limit is only ever made tighter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy import Door
from remediator.policy.control_groups import Version, version_of
from remediator.policy.unit_facts import UNLIMITED, Facts, microseconds, resident_bytes
from remediator.shell import Finished
from remediator.systemctl import SHOWN_OUTPUT, limit_unit, look_at_unit, read_state, settle

name = "process.limit"
version = 1
effect = Effect.REVERSIBLE
idempotent = True
arguments: Mapping[str, Argument] = {
    "unit": Argument(ArgumentType.UNIT, required=True),
    "cpu": Argument(ArgumentType.NUMBER),
    "memory": Argument(ArgumentType.BYTES),
}

LEAST_CPU = 0.01
"""Cores; systemd counts whole percents of one."""
LEAST_MEMORY = 4 << 20
SHOWN_AS = {"CPUQuota": "CPUQuotaPerSecUSec"}
"""What `systemctl show` calls a property that is set by another name."""
LEAST_SECONDS = 5.0
"""What looking at the limits is given even when the time is over."""

_UNIFIED = {"MemoryMax": UNLIMITED, "MemoryHigh": UNLIMITED, "MemorySwapMax": UNLIMITED, "MemoryMin": "0"}
"""Settings of version 2 and what they are unless set; systemd heeds MemoryLimit just where all are like this."""


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if values["cpu"] is None and values["memory"] is None:
        return "limits nothing; add cpu (cores), memory (size), or both"
    if values["cpu"] is not None and values["cpu"] < LEAST_CPU:
        return f"cpu is less than {LEAST_CPU} cores; write for example 0.5"
    if values["memory"] is not None and values["memory"] < LEAST_MEMORY:
        return "memory is less than 4MiB; write for example 512MiB"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a unit and its limits, list each property that would become tighter, from what and to what.

    Raise Refused if the policy does not permit it, the machine could not keep such a limit, or the unit is larger than
    that already, which would end it; ActionFailed or OSError if it cannot be looked at.
    """
    unit = arguments["unit"]
    facts = look_at_unit(context.policy, unit, "limit", _left(context), context.monotonic).facts
    if facts.get("LoadState") != "loaded":
        raise ActionFailed(f"unit {unit!r} is {facts.get('LoadState') or 'not known'}; it cannot be limited")
    if SHOWN_AS["CPUQuota"] not in facts:
        raise ActionFailed(f"unit {unit!r} runs nothing itself; it cannot be limited")
    wanted = _wanted(arguments, facts, context)
    items = tuple(
        {"kind": "limit", "unit": unit, "property": limit, "from": _value(limit, facts), "to": value}
        for limit, value in wanted.items()
        if _is_tighter(value, _applying(limit, facts))
    )
    for item in items:
        if item["property"] != "CPUQuota":
            _refuse_below_use(unit, int(item["to"]), facts, context)
    why = {} if items else {"why": f"unit {unit!r} has these limits already, or tighter ones"}
    return Plan(items, {"unit": unit, **why})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, set exactly its limits.

    Raise Refused if others were set meanwhile or one would be loosened, ActionFailed if systemd would not,
    OutcomeUnknown if not in time.
    """
    return _change(plan, "from", "to", context)


def undo(plan: Plan, outcome: Outcome, context: Context) -> Outcome:  # noqa: ARG001 — the contract's
    """Given a stored plan, put back what applied before. Raise as `run`, but not for loosening."""
    return _change(plan, "to", "from", context)


def _change(plan: Plan, old: str, new: str, context: Context) -> Outcome:
    unit = str(plan.detail.get("unit", ""))
    limits = {str(item["property"]): str(item[new]) for item in plan.items}
    facts = look_at_unit(context.policy, unit, "limit", _left(context), context.monotonic).facts
    for item in plan.items:
        _refuse_forged(item, unit)
        present = _value(item["property"], facts)
        # set by an attempt that a crash cut off, it is what it should be
        if present not in (item[old], item[new]):
            what = f"{item['property']} of unit {unit!r} was {item[old]} and is {present}"
            raise Refused(f"{what}: somebody else has set it since this was planned")
        if new == "to" and not _is_tighter(item["to"], item["from"]):
            raise Refused(f"the stored plan would loosen {item['property']} of unit {unit!r}")
        if item["property"] != "CPUQuota" and _is_tighter(item[new], present):
            _refuse_below_use(unit, int(item[new]), facts, context)
    context.reached("effect_begun")
    values = {limit: _setting(limit, value) for limit, value in limits.items()}
    finished = limit_unit(context.policy, unit, values, _left(context), context.monotonic)
    context.reached("effect_done")
    settle(finished, "limit", unit)
    try:
        facts = read_state(context.policy, unit, "limit", max(LEAST_SECONDS, _left(context)), context.monotonic)
    except (ActionFailed, Refused) as error:
        raise OutcomeUnknown(f"which limits unit {unit!r} has now is not known: {error}") from error
    kept = {limit: _value(limit, facts) for limit in limits}
    effects = tuple({"kind": "limit", "unit": unit, "property": limit, "to": value} for limit, value in kept.items())
    return Outcome(kept == limits, effects, {"systemctl": _told(finished), "limits": kept})


def _wanted(arguments: Mapping[str, Any], facts: Facts, context: Context) -> dict[str, str]:
    """Return each property with the value that is wanted, as systemd shows it."""
    wanted: dict[str, str] = {}
    if arguments["cpu"] is not None:
        _version("cpu", context)
        wanted["CPUQuota"] = str(round(arguments["cpu"] * 100) * 10_000)
    if arguments["memory"] is not None:
        unified = _version("memory", context) is Version.TWO or _is_unified(facts)
        wanted["MemoryMax" if unified else "MemoryLimit"] = str(arguments["memory"])
    return wanted


def _refuse_below_use(unit: str, limit: int, facts: Facts, context: Context) -> None:
    in_use = resident_bytes(facts.get("Names", "").split(), context.policy.procfs)
    if in_use > limit:
        what = f"unit {unit!r} has {in_use} bytes resident already; below that the kernel would end it"
        raise context.policy.refused(Door.SHELL, what)


def _version(controller: str, context: Context) -> Version:
    found = version_of(controller, context.policy.procfs, context.policy.sysfs)
    if found is None:
        what = f"no control groups with {controller} are mounted here, so a limit would be written and not be kept"
        raise context.policy.refused(Door.SHELL, what)
    return found


def _is_unified(facts: Facts) -> bool:
    return any(facts.get(key, value) != value for key, value in _UNIFIED.items())


def _is_tighter(value: str, than: str) -> bool:
    return float(value) < float(than)


def _applying(limit: str, facts: Facts) -> str:
    """Return what keeps the unit now: with version 2 as well MemoryLimit does, while no setting of version 2 is set."""
    return _value("MemoryLimit" if limit == "MemoryMax" and not _is_unified(facts) else limit, facts)


def _value(limit: str, facts: Facts) -> str:
    """Return a limit as it applies: microseconds per second, bytes, or `infinity`."""
    shown = facts.get(SHOWN_AS.get(limit, limit), UNLIMITED)
    if limit == "CPUQuota":
        quota = microseconds(shown)
        return UNLIMITED if quota is None else str(quota)
    # some versions write the largest number instead of the word
    return UNLIMITED if shown in ("", "[not set]", str(2**64 - 1)) else shown


def _setting(limit: str, value: str) -> str:
    """Return a limit as it is set."""
    if limit != "CPUQuota":
        return value
    return "" if value == UNLIMITED else f"{int(value) / 10_000:g}%"


def _refuse_forged(item: Mapping[str, Any], unit: str) -> None:
    """A plan that is not one of ours could set any property of a unit."""
    known = item.get("property") in ("CPUQuota", "MemoryMax", "MemoryLimit") and item.get("unit") == unit
    values = [str(item.get(key, "")) for key in ("from", "to")]
    if not known or not all(value == UNLIMITED or (value.isdecimal() and value.isascii()) for value in values):
        raise Refused("the stored plan names no limit of ours")


def _left(context: Context) -> float:
    return max(0.0, context.deadline - context.monotonic())


def _told(finished: Finished) -> Json:
    return {"code": finished.code, "seconds": finished.seconds, "output": finished.output[-SHOWN_OUTPUT:]}
