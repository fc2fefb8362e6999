"""Services by the commands that the policy names for them: stop, start, and status until they are well."""

from __future__ import annotations

import hashlib
import json
from threading import Event

from remediator.actions._services.contract import Verb
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import ArgumentType, Context, Json, Outcome, Plan
from remediator.policy import VERBS, Command, Policy
from remediator.shell import Finished, run_command, trust

argument = "service"
type = ArgumentType.SERVICE
verbs = frozenset({Verb.RESTART, Verb.START})

STOP_SHARE = 0.4
"""The part of the time left that stopping may take: a service that hangs in it must still be started."""
LEAST_SECONDS = 1.0
"""What starting is given even when the time is over: what was stopped must not stay so."""
LOOK_SECONDS = 0.2
"""Between two questions for the status."""
SHOWN_OUTPUT = 500


def plan(verb: Verb, name: str, context: Context) -> Plan:
    """Given a service, return the commands that would run, by name: the policy's file holds them, and may hold secrets.

    Raise Refused if the policy does not name the service or others could have written one of its programs.
    """
    policy: Policy = context.policy
    detail: Json = {"service": name, "commands_digest": digest(policy.command(name))}
    _trust_all(name, policy)
    if verb is Verb.START and _ask(name, context).ok:
        return Plan((), {**detail, "why": f"service {name!r} is well already"})
    commands = ("stop", "start") if verb is Verb.RESTART else ("start",)
    return Plan(tuple({"kind": "command", "service": name, "verb": each} for each in commands), detail)


def run(verb: Verb, plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, stop the service (a failure of that is only noted), start it, and wait until it is well.

    Raise Refused, with nothing done, if the policy's commands are not those of the plan, others could have written one
    of their programs, or what was to be started is well; ActionFailed if what is to be started cannot be asked for its
    status; OutcomeUnknown if the start did not end in time.
    """
    service = _same_service(plan, context)
    _trust_all(service, context.policy)
    if verb is Verb.START and _ask(service, context).ok:
        raise Refused(f"service {service!r} was started by somebody else since this was planned")
    context.reached("effect_begun")
    detail: Json = {}
    effects: list[Json] = []
    if verb is Verb.RESTART:
        _stop(service, context, effects, detail)
    started = _start(service, context, effects, detail)
    ok = started.ok and _becomes_well(service, context, detail)
    context.reached("effect_done")
    return Outcome(ok, tuple(effects), detail)


def undo(verb: Verb, plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Given what `run` started, stop that. Raise Refused as `run` does, OutcomeUnknown if it did not end in time."""
    if verb is not Verb.START:
        raise Refused(f"service.{verb.value} cannot be taken back")
    service = _same_service(plan, context)
    if not outcome.effects:
        return Outcome(True, (), {"why": "nothing was started"})
    context.reached("effect_begun")
    finished = run_command(context.policy, service, "stop", max(LEAST_SECONDS, _left(context)), context.monotonic)
    context.reached("effect_done")
    if finished.why_ended is not None:
        raise OutcomeUnknown(f"stop of {service!r} was ended because {finished.why_ended}; whether it runs is unknown")
    return Outcome(finished.ok, ({"kind": "command", "service": service, "verb": "stop"},), {"stop": _told(finished)})


def digest(command: Command) -> str:
    """Return what tells whether a service's commands are still the same, without giving them away."""
    return hashlib.sha256(json.dumps([command.argv(verb) for verb in VERBS]).encode()).hexdigest()


def _same_service(plan: Plan, context: Context) -> str:
    service = str(plan.detail.get("service", ""))
    if digest(context.policy.command(service)) != plan.detail.get("commands_digest"):
        raise Refused(f"the policy's commands for {service!r} have changed since this was planned")
    return service


def _trust_all(service: str, policy: Policy) -> None:
    """Raise Refused if one of a service's programs is not to be trusted: what only stops it would leave it stopped."""
    command = policy.command(service)
    for verb in VERBS:
        trust(policy, command.argv(verb)[0])


def _ask(service: str, context: Context) -> Finished:
    return run_command(context.policy, service, "status", max(LEAST_SECONDS, _left(context)), context.monotonic)


def _stop(service: str, context: Context, effects: list[Json], detail: Json) -> None:
    try:
        finished = run_command(
            context.policy, service, "stop", max(LEAST_SECONDS, _left(context) * STOP_SHARE), context.monotonic
        )
    except ActionFailed as error:
        detail["stop"] = {"why": str(error)}
        return
    effects.append({"kind": "command", "service": service, "verb": "stop"})
    detail["stop"] = _told(finished)


def _start(service: str, context: Context, effects: list[Json], detail: Json) -> Finished:
    try:
        finished = run_command(context.policy, service, "start", max(LEAST_SECONDS, _left(context)), context.monotonic)
    except (ActionFailed, Refused) as error:
        if isinstance(error, Refused) and not effects:
            raise
        # that it was stopped must be told: a refusal would say that nothing was done
        detail["start"] = {"why": str(error)}
        return Finished(None, "", 0.0, str(error))
    effects.append({"kind": "command", "service": service, "verb": "start"})
    detail["start"] = _told(finished)
    if finished.why_ended is not None:
        raise OutcomeUnknown(
            f"start of {service!r} was ended because {finished.why_ended}; whether it runs is not known"
        )
    return finished


def _becomes_well(service: str, context: Context, detail: Json) -> bool:
    """Ask for the status until it is well or the time is over; at least once."""
    end_at = context.monotonic() + max(LEAST_SECONDS, min(_left(context), context.policy.command(service).timeout))
    pause = Event()
    while True:
        try:
            finished = run_command(
                context.policy, service, "status", max(LEAST_SECONDS, end_at - context.monotonic()), context.monotonic
            )
        except (ActionFailed, Refused) as error:
            detail["status"] = {"why": str(error)}
            return False
        detail["status"] = _told(finished)
        if finished.ok or context.monotonic() + LOOK_SECONDS >= end_at:
            return finished.ok
        pause.wait(LOOK_SECONDS)


def _left(context: Context) -> float:
    return context.deadline - context.monotonic()


def _told(finished: Finished) -> Json:
    told: Json = {"code": finished.code, "seconds": finished.seconds, "output": finished.output[-SHOWN_OUTPUT:]}
    return told if finished.why_ended is None else {**told, "why": finished.why_ended}
