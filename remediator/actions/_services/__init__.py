"""Back-ends of the `service.*` actions: the literal table, and the way from an action to the back-end it names.

A back-end is a module with `argument`, `type`, `verbs`, `plan`, `run` and `undo`, as `contract.Backend` says. Adding
one is its file, its test, one line of `BACKENDS`, and its type of argument. An action takes the argument of each
back-end that knows its verb, exactly one of them; a stored plan is led back to its back-end by the key in `detail`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.actions._services import commands as commands
from remediator.actions._services import container as container
from remediator.actions._services import supervisor as supervisor
from remediator.actions._services import systemd as systemd
from remediator.actions._services.contract import Backend, Verb
from remediator.errors import Refused
from remediator.model import Argument, Context, Outcome, Plan

__all__ = ["BACKENDS", "Backend", "Verb", "arguments_of", "choice_problem", "plan", "run", "undo"]

BACKENDS: Mapping[str, Backend] = {
    commands.argument: commands,
    systemd.argument: systemd,
    supervisor.argument: supervisor,
    container.argument: container,
}


def arguments_of(verb: Verb) -> Mapping[str, Argument]:
    """Return what the action of `verb` takes: one argument per back-end that knows the verb."""
    known = [backend for backend in BACKENDS.values() if verb in backend.verbs]
    return {backend.argument: Argument(backend.type, required=len(known) == 1) for backend in known}


def choice_problem(values: Mapping[str, Any]) -> str | None:
    """Given an action's arguments, return what is wrong if they do not name exactly one service, or None."""
    named = [key for key in values if key in BACKENDS and values[key] is not None]
    if not named:
        return f"says not which one; add {' or '.join(key for key in values if key in BACKENDS)}"
    if len(named) > 1:
        return f"{' and '.join(named)} stand together; keep one"
    return None


def plan(verb: Verb, arguments: Mapping[str, Any], context: Context) -> Plan:
    """Return what would be done to the one service that `arguments` name. Raise as the back-end does."""
    backend = next(BACKENDS[key] for key, value in arguments.items() if key in BACKENDS and value is not None)
    return backend.plan(verb, str(arguments[backend.argument]), context)


def run(verb: Verb, plan: Plan, context: Context) -> Outcome:
    """Do a stored plan by the back-end that made it. Raise Refused if none could have, else as that does."""
    return _backend_of(verb, plan).run(verb, plan, context)


def undo(verb: Verb, plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Take back what a stored plan did. Raise as `run`."""
    return _backend_of(verb, plan).undo(verb, plan, outcome, context)


def _backend_of(verb: Verb, plan: Plan) -> Backend:
    found = [backend for key, backend in BACKENDS.items() if key in plan.detail and verb in backend.verbs]
    if len(found) != 1:
        raise Refused(f"the stored plan names no service that could be treated so: service.{verb.value}")
    return found[0]
