"""Restarts a service by the commands that the policy names for it: stop, start, then status until it is well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from threading import Event
from typing import Any

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy import VERBS, Command, Policy
from remediator.shell import Finished, run_command

name = "service.restart"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = False
arguments: Mapping[str, Argument] = {"service": Argument(ArgumentType.SERVICE, required=True)}

STOP_SHARE = 0.4
"""The part of the time left that stopping may take: a service that hangs in it must still be started."""
LEAST_SECONDS = 1.0
"""What starting is given even when the time is over: what was stopped must not stay so."""
LOOK_SECONDS = 0.2
"""Between two questions for the status."""
SHOWN_OUTPUT = 500


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a service, return the commands that would run, by name: the policy's file holds them, and may hold secrets.

    Raise Refused if the policy does not name the service.
    """
    policy: Policy = context.policy
    service = arguments["service"]
    command = policy.command(service)
    items = tuple({"kind": "command", "service": service, "verb": verb} for verb in ("stop", "start"))
    return Plan(items, {"service": service, "commands_digest": digest(command)})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, stop the service (a failure of that is only noted), start it, and wait until it is well.

    Raise Refused if the policy's commands are not those of the plan, ActionFailed if nothing could be started,
    OutcomeUnknown if the start did not end in time.
    """
    policy: Policy = context.policy
    service = str(plan.detail.get("service", ""))
    if digest(policy.command(service)) != plan.detail.get("commands_digest"):
        raise Refused(f"the policy's commands for {service!r} have changed since this was planned")
    context.reached("effect_begun")
    detail: Json = {}
    effects: list[Json] = []
    _stop(service, context, effects, detail)
    started = _start(service, context, effects, detail)
    ok = started.ok and _becomes_well(service, context, detail)
    context.reached("effect_done")
    return Outcome(ok, tuple(effects), detail)


def digest(command: Command) -> str:
    """Return what tells whether a service's commands are still the same, without giving them away."""
    return hashlib.sha256(json.dumps([command.argv(verb) for verb in VERBS]).encode()).hexdigest()


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
    except ActionFailed as error:
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
        except ActionFailed as error:
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
