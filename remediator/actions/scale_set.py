"""Starts or stops numbered instances of a template of systemd, within what the policy says of their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy import Door
from remediator.policy.scale import Scale, scaling
from remediator.policy.unit_facts import CHANGED, RESTING, Facts
from remediator.systemctl import SHOWN_OUTPUT, look_at_instance, look_at_instances, run_instance, settle

name = "scale.set"
version = 1
effect = Effect.REVERSIBLE
idempotent = True
arguments: Mapping[str, Argument] = {
    "template": Argument(ArgumentType.TEMPLATE, required=True),
    "to": Argument(ArgumentType.INTEGER),
    "by": Argument(ArgumentType.INTEGER),
}

LEAST_SECONDS = 5.0
"""What counting the instances is given even when the time is over."""


class _Changes:
    """When we last started or stopped an instance: systemd forgets a unit that does not run any more."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._at: dict[str, float] = {}

    def note(self, template: str, now: float) -> None:
        with self._lock:
            self._at[template] = now

    def last(self, template: str) -> float | None:
        with self._lock:
            return self._at.get(template)


_CHANGES = _Changes()


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if (values["to"] is None) == (values["by"] is None):
        return "says not how many; add either to (a count) or by (a difference)"
    if values["to"] is not None and values["to"] < 0:
        return "to is below 0; write the count that should run"
    if values["by"] == 0:
        return "by is 0, which changes nothing; write for example 1 or -1"
    return None


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a template and a count or difference, list the instances that would be started or stopped.

    Those with the lowest free numbers start, those with the highest stop; instances with other names are never touched.
    Raise Refused if the policy does not permit the template or the count, ActionFailed if systemd cannot be asked.
    """
    scale = scaling(context.policy, arguments["template"])
    found = look_at_instances(context.policy, scale.template, _left(context), context.monotonic)
    running = _running(scale, found)
    count = _wanted(scale, arguments, len(running), context)
    detail: Json = {"template": scale.template, "count": len(running), "to": count, "running": running}
    if count == len(running):
        return Plan((), {**detail, "why": f"{count} instances run, as many as are wanted and permitted"})
    if (rest := _rest(scale, found, context)) > 0:
        why = f"the number changed lately; the policy wants {scale.cooldown:g} s in between, {rest:.0f} s are left"
        return Plan((), {**detail, "to": len(running), "why": why})
    verb, numbers = _choose(scale, running, count)
    items = ({"kind": "unit", "unit": scale.instance(number), "verb": verb} for number in numbers)
    return Plan((*items, *_along(scale, dict.fromkeys(numbers, verb), context)), detail)


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, start or stop exactly its instances, one after the other.

    Raise Refused, with nothing done, if other instances run than when it was planned or more would be dragged along;
    OutcomeUnknown if one did not start or stop in time.
    """
    scale = scaling(context.policy, str(plan.detail.get("template", "")))
    running = _running(scale, look_at_instances(context.policy, scale.template, _left(context), context.monotonic))
    planned = {int(number) for number in plan.detail.get("running", [])}
    changing = _changes(scale, plan.items)
    # what a crash cut off has been done in part: only its own instances may differ
    others = (set(running) ^ planned) - set(changing)
    if others:
        units = ", ".join(map(scale.instance, sorted(others)))
        raise Refused(f"other instances run than when this was planned: {units}; what is needed now must be asked anew")
    if len(changing) > scale.step:
        what = f"{len(changing)} instances of {scale.template} at once are not permitted any more"
        raise context.policy.refused(Door.SHELL, what)
    _refuse_beyond(scale, planned, changing, context)
    if not all(item in plan.items for item in _along(scale, changing, context)):
        raise Refused("other units would be dragged along than when this was planned")
    return _change(scale, changing, int(plan.detail.get("to", -1)), context)


def undo(plan: Plan, outcome: Outcome, context: Context) -> Outcome:  # noqa: ARG001 — the contract's
    """Given what `run` did, go back to the previous count: stop what it started, start what it stopped.

    Raise as `run`, also if by what others did since it would end beyond the policy's bounds; neither step nor cooldown
    keep it back.
    """
    scale = scaling(context.policy, str(plan.detail.get("template", "")))
    back = {"start": "stop", "stop": "start"}
    # all of the plan: where a deadline cut it off, the outcome does not say how far it came
    changing = {number: back[verb] for number, verb in _changes(scale, plan.items).items()}
    running = _running(scale, look_at_instances(context.policy, scale.template, _left(context), context.monotonic))
    _refuse_beyond(scale, set(running), changing, context)
    return _change(scale, changing, int(plan.detail.get("count", -1)), context)


def _along(scale: Scale, changing: Mapping[int, str], context: Context) -> list[Json]:
    """Return the other units to which systemd would do something along with these. Raise Refused if it must not."""
    found: set[tuple[str, str]] = set()
    for number, verb in changing.items():
        seen = look_at_instance(context.policy, scale.instance(number), verb, _left(context), context.monotonic)
        found |= set(seen.along.items())
    return [{"kind": "unit", "unit": unit, "verb": what, "with": scale.template} for unit, what in sorted(found)]


def _change(scale: Scale, changing: Mapping[int, str], wanted: int, context: Context) -> Outcome:
    context.reached("effect_begun")
    effects: list[Json] = []
    wrong: Json = {}
    for number, verb in changing.items():
        unit = scale.instance(number)
        try:
            finished = run_instance(context.policy, unit, verb, _left(context), context.monotonic)
            _CHANGES.note(scale.template, context.monotonic())
            settle(finished, verb, unit)
        except (ActionFailed, Refused) as error:
            if isinstance(error, Refused) and not effects:
                raise
            # what was done to those before it must be told
            wrong[unit] = str(error)
            continue
        # where its job failed systemd has tried, and may go on trying
        effects.append({"kind": "unit", "unit": unit, "verb": verb})
        if not finished.ok:
            wrong[unit] = finished.output[-SHOWN_OUTPUT:]
    if wrong and not effects:
        return Outcome(False, (), {"failed": wrong})
    try:
        left = max(LEAST_SECONDS, _left(context))
        count = len(_running(scale, look_at_instances(context.policy, scale.template, left, context.monotonic)))
    except (ActionFailed, Refused) as error:
        raise OutcomeUnknown(f"how many instances of {scale.template} run now is not known: {error}") from error
    context.reached("effect_done")
    detail: Json = {"count": count, **({"failed": wrong} if wrong else {})}
    return Outcome(not wrong and count == wanted, tuple(effects), detail)


def _wanted(scale: Scale, arguments: Mapping[str, Any], running: int, context: Context) -> int:
    """Return how many should run after this step. Raise Refused if the policy does not permit the count."""
    to = arguments["to"]
    if to is not None and not scale.min <= to <= scale.max:
        what = f"{to} instances of {scale.template} are not permitted; the policy says {scale.min} to {scale.max}"
        raise context.policy.refused(Door.SHELL, what)
    wanted: int = to if to is not None else _within(scale, running, arguments["by"])
    return running + max(-scale.step, min(scale.step, wanted - running))


def _within(scale: Scale, running: int, by: int) -> int:
    """Return the count after a difference that ends at the bounds: beyond them already, more never means fewer."""
    if by > 0:
        return max(running, min(scale.max, running + by))
    return min(running, max(scale.min, running + by))


def _choose(scale: Scale, running: Sequence[int], count: int) -> tuple[str, list[int]]:
    change = count - len(running)
    if change < 0:
        return "stop", sorted(running, reverse=True)[:-change]
    free = [number for number in range(1, scale.max + 1) if number not in running]
    return "start", free[:change]


def _running(scale: Scale, found: Iterable[Facts]) -> list[int]:
    """Return the numbers of the instances that run, or are about to or to end, ascending."""
    awake = (facts.get("Id", "") for facts in found if facts.get("ActiveState", "inactive") not in RESTING)
    return sorted(number for number in map(scale.number, awake) if number is not None)


def _rest(scale: Scale, found: Iterable[Facts], context: Context) -> float:
    """Return the seconds of the cooldown that are left; systemd tells them on the clock that ours is, too."""
    stamps = [
        int(facts.get(key) or 0) / 1e6
        for facts in found
        # where systemd itself started it again, no stamp is left of the start before that: it counts as one
        if scale.number(facts.get("Id", "")) is not None
        for key in CHANGED
    ]
    last = max([*stamps, _CHANGES.last(scale.template) or 0.0], default=0.0)
    return scale.cooldown - (context.monotonic() - last) if last else 0.0


def _changes(scale: Scale, items: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Return instance → verb of a stored plan or outcome. Raise Refused if it names anything else."""
    changing: dict[int, str] = {}
    for item in items:
        if "with" in item:
            continue
        number = scale.number(str(item.get("unit", "")))
        if number is None or item.get("verb") not in ("start", "stop"):
            raise Refused("the stored plan names no instance that could be started or stopped")
        changing[number] = str(item["verb"])
    return changing


def _refuse_beyond(scale: Scale, running: set[int], changing: Mapping[int, str], context: Context) -> None:
    """The policy is asked again: it may have changed since this was planned, or the plan is not one of ours."""
    started = {number for number, verb in changing.items() if verb == "start"}
    before, after = len(running), len((running | started) - (set(changing) - started))
    # from beyond the bounds it may come nearer to them, and not across
    if not (scale.min <= after <= scale.max or before <= after < scale.min or scale.max < after <= before):
        raise context.policy.refused(Door.SHELL, f"{after} instances of {scale.template} are not permitted any more")


def _left(context: Context) -> float:
    return max(0.0, context.deadline - context.monotonic())
