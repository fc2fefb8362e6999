"""Units of systemd: judged by what `systemctl show` says of them, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Event
from typing import Any

from remediator.actions._services.contract import Verb
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import ArgumentType, Context, Json, Outcome, Plan
from remediator.policy import Door
from remediator.policy.unit_facts import RESTING, Facts, microseconds
from remediator.shell import Finished
from remediator.systemctl import SHOWN_OUTPUT, Seen, look_at_unit, read_state, run_unit, settle

argument = "unit"
type = ArgumentType.UNIT
verbs = frozenset(Verb)

VERBS: Mapping[Verb, str] = {
    Verb.RESTART: "restart",
    Verb.RELOAD: "reload",
    Verb.START: "start",
    Verb.RESET_FAILED: "reset-failed",
}
"""How the policy and systemd call it."""
LOOK_SECONDS = 0.2
"""Between two looks at a unit that has not come to rest."""
LEAST_SECONDS = 5.0
"""What looking at the unit is given even when the time is over."""


def plan(verb: Verb, name: str, context: Context) -> Plan:
    """Given a unit, return what systemd would be told, bound to the run of the unit that is there now.

    Listed are also the units to which systemd would do something along with it.
    Raise Refused if the policy does not permit it or the unit cannot be so treated, ActionFailed if it is not there.
    """
    seen = _look(verb, name, context)
    detail = {argument: name, **_run_of(seen.facts)}
    if (why := _nothing_to_do(verb, seen.facts)) is not None:
        return Plan((), {**detail, "why": f"unit {name!r} {why}"})
    return Plan(_items(verb, name, seen), detail)


def run(verb: Verb, plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, have systemd do that and wait until the unit is active or has failed.

    Raise Refused if the unit is not in the run that was planned, or more would be dragged along; ActionFailed if
    systemd would not; OutcomeUnknown if the unit did not come to rest in time.
    """
    name = str(plan.detail.get(argument, ""))
    seen = _look(verb, name, context)
    if verb is Verb.RESET_FAILED and seen.facts.get("ActiveState") != "failed":
        return Outcome(True, (), {"why": f"unit {name!r} is not failed any more"})
    items = _items(verb, name, seen)
    _refuse_another_run(name, plan, seen, items)
    context.reached("effect_begun")
    finished = run_unit(context.policy, name, VERBS[verb], _left(context), context.monotonic)
    settle(finished, VERBS[verb], name)
    detail: Json = {"systemctl": _told(finished)}
    facts = _come_to_rest(verb, name, context)
    detail |= {**_run_of(facts), "sub_state": facts.get("SubState", ""), "result": facts.get("Result", "")}
    context.reached("effect_done")
    return Outcome(finished.ok and _is_well(verb, facts), items, detail)


def undo(verb: Verb, plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Given what `run` started, stop that; the policy must permit `stop`.

    Raise Refused if another run of the unit is there by now, OutcomeUnknown if it did not stop in time.
    """
    name, started = str(plan.detail.get(argument, "")), outcome.detail.get("invocation_id")
    if verb is not Verb.START:
        raise Refused(f"service.{verb.value} cannot be taken back")
    facts = look_at_unit(context.policy, name, "stop", _left(context), context.monotonic).facts
    if facts.get("ActiveState") in RESTING:
        return Outcome(True, (), {"why": f"unit {name!r} does not run any more"})
    if not started or facts.get("InvocationID") != started:
        raise Refused(f"unit {name!r} is not in the run that we started; whoever started it may want it")
    context.reached("effect_begun")
    finished = run_unit(context.policy, name, "stop", _left(context), context.monotonic)
    context.reached("effect_done")
    settle(finished, "stop", name)
    return Outcome(finished.ok, ({"kind": "unit", "unit": name, "verb": "stop"},), {"systemctl": _told(finished)})


def _look(verb: Verb, name: str, context: Context) -> Seen:
    """Look at a unit before it is touched. Raise Refused or ActionFailed if that cannot be done to such a unit."""
    policy = context.policy
    seen = look_at_unit(policy, name, VERBS[verb], _left(context), context.monotonic)
    loaded = seen.facts.get("LoadState", "")
    refusal = None
    if loaded == "masked":
        refusal = f"unit {name!r} is masked: somebody does not want it to run"
    elif loaded != "loaded":
        raise ActionFailed(f"unit {name!r} is {loaded or 'not known'}; systemd has no usable unit file of it")
    elif verb is Verb.RELOAD and seen.facts.get("CanReload") != "yes":
        refusal = f"unit {name!r} cannot reload; it has no ExecReload"
    elif verb in (Verb.RESTART, Verb.START) and "no" in (seen.facts.get("CanStart"), _manual(verb, seen.facts)):
        refusal = f"unit {name!r} cannot be started by hand"
    elif verb is Verb.RESET_FAILED and seen.facts.get("Transient") == "yes":
        refusal = f"unit {name!r} is transient: systemd would forget all of it, not just that it failed"
    if refusal is not None:
        raise policy.refused(Door.SHELL, refusal)
    return seen


def _manual(verb: Verb, facts: Facts) -> str:
    refused = ["RefuseManualStart"] + (["RefuseManualStop"] if verb is Verb.RESTART else [])
    return "no" if any(facts.get(key) == "yes" for key in refused) else "yes"


def _nothing_to_do(verb: Verb, facts: Facts) -> str | None:
    state = facts.get("ActiveState", "")
    if facts.get("Job", "") not in ("", "0"):
        return f"is being worked on by systemd already ({state})"
    if verb is Verb.RESET_FAILED and state != "failed":
        return "has not failed"
    if verb is Verb.START and state not in RESTING:
        return f"runs already ({state})"
    if verb is Verb.RELOAD and state != "active":
        return f"does not run ({state}), so there is nothing to reload"
    return None


def _run_of(facts: Facts) -> Json:
    """Return what tells one run of a unit from another."""
    pid = facts.get("MainPID", "0")
    return {
        "active_state": facts.get("ActiveState", ""),
        "main_pid": int(pid) if pid.isdecimal() else 0,
        "invocation_id": facts.get("InvocationID", ""),
    }


def _items(verb: Verb, name: str, seen: Seen) -> tuple[Json, ...]:
    along = ({"kind": "unit", "unit": unit, "verb": what, "with": name} for unit, what in sorted(seen.along.items()))
    return ({"kind": "unit", "unit": name, "verb": VERBS[verb]}, *along)


def _refuse_another_run(name: str, plan: Plan, seen: Seen, items: Iterable[Json]) -> None:
    planned, now = plan.detail, _run_of(seen.facts)
    what = None
    if planned.get("invocation_id") != now["invocation_id"]:
        what = f"it was started anew by somebody else and is {now['active_state']}"
    elif planned.get("active_state") != now["active_state"]:
        what = f"it was {planned.get('active_state')} and is {now['active_state']}"
    elif planned.get("main_pid") != now["main_pid"]:
        what = "its main process is another one"
    elif not all(item in plan.items for item in items):
        what = "other units would be dragged along"
    elif seen.facts.get("Job", "") not in ("", "0"):
        what = "systemd is at work on it for somebody else"
    if what is not None:
        raise Refused(f"unit {name!r} is not as it was planned: {what}; what is needed now must be asked anew")


def _come_to_rest(verb: Verb, name: str, context: Context) -> Facts:
    """Look until the unit runs or has ended. Raise OutcomeUnknown if it does neither in time."""
    pause = Event()
    while True:
        facts = _state(verb, name, context)
        state, sub_state = facts.get("ActiveState", ""), facts.get("SubState", "")
        if state in RESTING or state == "active":
            return facts
        end_at = context.deadline
        if sub_state.startswith("auto-restart"):
            # it has ended again, and systemd waits before it tries once more: perhaps longer than we may
            pause_of_unit = microseconds(facts.get("RestartUSec", ""))
            if pause_of_unit is None or context.monotonic() + pause_of_unit / 1e6 >= end_at:
                return facts
        elif context.monotonic() + LOOK_SECONDS >= end_at:
            raise OutcomeUnknown(f"unit {name!r} is still {state} ({sub_state}) after {VERBS[verb]}")
        pause.wait(LOOK_SECONDS)


def _is_well(verb: Verb, facts: Facts) -> bool:
    state = facts.get("ActiveState")
    if verb is Verb.RESET_FAILED:
        return state != "failed"
    # one that does its work and ends is well when it has ended well; where a condition was not met it never began
    ended_well = facts.get("Type") == "oneshot" and facts.get("Result") == "success" and not _was_passed_over(facts)
    return state == "active" or (state == "inactive" and ended_well)


def _was_passed_over(facts: Facts) -> bool:
    asked = facts.get("ConditionTimestampMonotonic", "0") not in ("", "0")
    return asked and facts.get("ConditionResult") == "no"


def _state(verb: Verb, name: str, context: Context) -> Facts:
    """Look at a unit after something was done to it. Raise OutcomeUnknown if that cannot be done."""
    try:
        return read_state(context.policy, name, VERBS[verb], max(LEAST_SECONDS, _left(context)), context.monotonic)
    except (ActionFailed, Refused) as error:
        raise OutcomeUnknown(f"how unit {name!r} is after {VERBS[verb]} is not known: {error}") from error


def _left(context: Context) -> float:
    return max(0.0, context.deadline - context.monotonic())


def _told(finished: Finished) -> dict[str, Any]:
    return {"code": finished.code, "seconds": finished.seconds, "output": finished.output[-SHOWN_OUTPUT:]}
