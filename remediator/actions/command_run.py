"""Runs one command that the policy names with `run:`, once, with typed parameters.

The class declared here is the worst that a command can be, and all that goes by the class (frozen steps, guards,
`selfheal check`) goes by this one. What the policy says of one command (`read_only`, `idempotent`) never makes it
begin more easily or again: it only says what is known of one that was ended half way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import IN_DOUBT, Argument, ArgumentType, Context, Effect, Json, Outcome, Plan
from remediator.policy.values import NamedCommand
from remediator.shell import Asked, Finished, check_named, permitted_command, run_named

name = "command.run"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = False
arguments: Mapping[str, Argument] = {
    "command": Argument(ArgumentType.COMMAND, required=True),
    "parameters": Argument(ArgumentType.PARAMETERS),
}

NOTHING_TO_DO = 77
"""Exit code by which a `check` says so, as tests of Automake say that they do not apply."""


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a command and its parameters, return it by its name: the argv is the policy's, and may hold secrets.

    Where the policy declares a `check`, that is run, and what it wrote is kept; its exit code 77 says that there is
    nothing to do. Raise Refused if the policy does not permit command or parameters, ActionFailed if the check fails.
    """
    asked = Asked(arguments["command"], arguments["parameters"] or {}, context.alert, {}, context.remediation)
    command = permitted_command(context.policy, asked)
    item = {"kind": "command", "command": command.name, "parameters": dict(asked.parameters)}
    detail: Json = {"command": command.name, "command_digest": digest(command)}
    checked = check_named(context.policy, asked, _left(context), context.monotonic)
    if checked is None:
        return Plan((item,), detail)
    if checked.code not in (0, NOTHING_TO_DO):
        why = checked.why_ended or f"exit code {checked.code}"
        raise ActionFailed(f"the check of {command.name!r} failed ({why}): {checked.output[-200:]}")
    return Plan((item,) if checked.ok else (), {**detail, "checked": _told(checked)})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, run its command; an exit code other than 0 is a known failure.

    Raise Refused if the policy's command is not the one of the plan, ActionFailed if it cannot be started,
    OutcomeUnknown if it had to be ended and the policy calls it neither read_only nor idempotent.
    """
    item = _item(plan)
    content = {"items": list(plan.items), "detail": dict(plan.detail)}
    asked = Asked(item["command"], item["parameters"], context.alert, content, context.remediation)
    command = permitted_command(context.policy, asked)
    if digest(command) != plan.detail.get("command_digest"):
        raise Refused(f"the policy's command {command.name!r} has changed since this was planned")
    context.reached("effect_begun")
    finished = run_named(context.policy, asked, _left(context), context.monotonic)
    context.reached("effect_done")
    return _outcome(command, item, finished)


def digest(command: NamedCommand) -> str:
    """Return what tells whether a command is still the same, without giving its arguments away."""
    return hashlib.sha256(json.dumps(asdict(command), sort_keys=True).encode()).hexdigest()


def _item(plan: Plan) -> Json:
    found = plan.items[0] if len(plan.items) == 1 else {}
    named, parameters = found.get("command"), found.get("parameters")
    if found.get("kind") != "command" or not isinstance(named, str) or not isinstance(parameters, dict):
        raise Refused("the stored plan names no command with its parameters")
    return found


def _outcome(command: NamedCommand, item: Json, finished: Finished) -> Outcome:
    effects = () if command.read_only else (item,)
    if finished.why_ended is None:
        return Outcome(finished.ok, effects, _told(finished))
    if not command.read_only and not command.idempotent:
        what = f"command {command.name!r} was ended because {finished.why_ended}"
        raise OutcomeUnknown(f"{what}; what it did by then is not known: {finished.output[-200:]}")
    doubt = {} if command.read_only else {IN_DOUBT: True}
    return Outcome(False, effects, {**_told(finished), **doubt})


def _left(context: Context) -> float:
    return context.deadline - context.monotonic()


def _told(finished: Finished) -> Json:
    told: Json = {"code": finished.code, "seconds": finished.seconds, "output": finished.output}
    return told if finished.why_ended is None else {**told, "why": finished.why_ended}
