"""Programs of supervisord: judged by the state that it tells, before and after; bound to a program's pid and start."""

from __future__ import annotations

from remediator.actions._services.contract import Verb
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import ArgumentType, Context, Json, Outcome, Plan
from remediator.supervisord import Code, Program, look, tell
from remediator.xml_rpc import Fault

argument = "program"
type = ArgumentType.PROGRAM
verbs = frozenset({Verb.RESTART, Verb.START})

LEAST_SECONDS = 5.0
"""What stopping leaves of the time to starting, and what is given even when the time is over."""
_UP = ("RUNNING", "STARTING")
_RETRIED = ("BACKOFF", "STARTING", "FATAL")
"""Between these a program that does not come up changes by itself, with another pid each time."""
_DOWN = ("STOPPED", "EXITED", "FATAL")
_NOT_STARTED = (Code.NO_FILE, Code.NOT_EXECUTABLE, Code.ABNORMAL_TERMINATION, Code.SPAWN_ERROR)


def plan(verb: Verb, name: str, context: Context) -> Plan:
    """Given a program, return what supervisord would be told, bound to the run of it that is there now.

    Raise Refused if the policy does not permit it or it is never touched, ActionFailed if there is no such program.
    """
    seen = look(name, verb.value, context)
    _let_be(seen)
    detail: Json = {argument: name, **_run_of(seen)}
    if verb is Verb.START and seen.state not in _DOWN:
        return Plan((), {**detail, "why": f"program {name!r} is {seen.state} already"})
    told = ["start"] if seen.state in _DOWN else ["stop", "start"]
    return Plan(tuple({"kind": argument, "program": name, "verb": each} for each in told), detail)


def run(verb: Verb, plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, have supervisord do that; it waits itself until the program counts as started.

    Raise Refused if it is another run of the program than was planned, ActionFailed if supervisord did nothing,
    OutcomeUnknown if it did not answer in time.
    """
    name = str(plan.detail.get(argument, ""))
    seen = look(name, verb.value, context)
    _let_be(seen)
    if not _is_planned(plan.detail, seen):
        raise Refused(f"program {name!r} is not in the run that was planned: it is {seen.state}")
    told = [str(item.get("verb")) for item in plan.items]
    context.reached("effect_begun")
    effects: list[Json] = []
    if "stop" in told and seen.state not in _DOWN and _stop(verb, name, context):
        effects.append({"kind": argument, "program": name, "verb": "stop"})
    why = _start(verb, name, context) if "start" in told else None
    if why is None and "start" in told:
        effects.append({"kind": argument, "program": name, "verb": "start"})
    if not effects and why is not None:
        raise ActionFailed(f"program {name!r} was not started: {why}")
    after = _after(verb, name, context)
    context.reached("effect_done")
    detail = _run_of(after) | {key: text for key, text in (("why", why), ("trouble", after.trouble)) if text}
    return Outcome(why is None and after.state == "RUNNING", tuple(effects), detail)


def undo(verb: Verb, plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Given what `run` started, stop that; the policy must permit `stop`.

    Raise Refused if another run of the program is there by now, OutcomeUnknown if supervisord did not answer in time.
    """
    name = str(plan.detail.get(argument, ""))
    if verb is not Verb.START:
        raise Refused(f"service.{verb.value} cannot be taken back")
    seen = look(name, "stop", context)
    if seen.state in _DOWN:
        return Outcome(True, (), {"why": f"program {name!r} does not run any more"})
    if (seen.pid, seen.start) != (outcome.detail.get("pid"), outcome.detail.get("start")):
        raise Refused(f"program {name!r} is not in the run that we started; whoever started it may want it")
    context.reached("effect_begun")
    try:
        tell(name, "stop", context, context.deadline)
    except Fault as fault:
        return Outcome(fault.code == Code.NOT_RUNNING, (), {"why": str(fault)})
    context.reached("effect_done")
    return Outcome(True, ({"kind": argument, "program": name, "verb": "stop"},), {})


def _let_be(seen: Program) -> None:
    """Raise ActionFailed for a program that somebody is busy with."""
    if seen.state in ("STOPPING", "UNKNOWN"):
        raise ActionFailed(f"program {seen.name!r} is {seen.state}")


def _run_of(seen: Program) -> Json:
    """Return what tells one run of a program from another."""
    return {"statename": seen.state, "pid": seen.pid, "start": seen.start}


def _is_planned(detail: Json, seen: Program) -> bool:
    if detail.get("statename") in ("BACKOFF", "STARTING"):
        return seen.state in _RETRIED
    return all(detail.get(key) == value for key, value in _run_of(seen).items())


def _stop(verb: Verb, name: str, context: Context) -> bool:
    """Stop a program; return False if it had ended by itself.

    Raise ActionFailed, or OutcomeUnknown if it still runs or ends: it cannot be started before it has ended.
    """
    # supervisord ends what it was once told to stop, however long that takes, and nobody but us starts it then
    end_at = max(context.deadline - LEAST_SECONDS, context.monotonic() + LEAST_SECONDS)
    try:
        tell(name, verb.value, context, end_at, method="stop")
    except Fault as fault:
        if fault.code == Code.NOT_RUNNING:
            return False
        raise ActionFailed(f"supervisord would not stop {name!r}: {fault}") from fault
    except OutcomeUnknown as error:
        state = _after(verb, name, context).state
        if state not in _DOWN:
            what = f"program {name!r} is {state} and was not started again; it may end and stay so"
            raise OutcomeUnknown(f"{error}; {what}") from error
    return True


def _start(verb: Verb, name: str, context: Context) -> str | None:
    """Start a program; return why it did not start, or None. Raise OutcomeUnknown if there was no answer in time."""
    end_at = max(context.deadline, context.monotonic() + LEAST_SECONDS)
    try:
        tell(name, verb.value, context, end_at, method="start")
    except Fault as fault:
        if fault.code == Code.ALREADY_STARTED:
            return None
        return str(fault) if fault.code not in _NOT_STARTED else f"{Code(fault.code).name.lower()} ({fault})"
    except (ActionFailed, Refused) as error:
        # it may have been stopped a moment ago, so this is not the end of what there is to tell
        return str(error)
    return None


def _after(verb: Verb, name: str, context: Context) -> Program:
    try:
        return look(name, verb.value, context, least=LEAST_SECONDS)
    except (ActionFailed, Refused) as error:
        raise OutcomeUnknown(f"{verb.value} of program {name!r} was begun; how it stands cannot be seen") from error
