"""Has a service read its configuration again, without an interruption; only one that can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.actions import _services
from remediator.actions._services import Verb
from remediator.model import Argument, Context, Effect, Outcome, Plan

name = "service.reload"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = False
arguments: Mapping[str, Argument] = _services.arguments_of(Verb.RELOAD)


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    return _services.choice_problem(values)


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a service, return what would be reloaded. Raise Refused or ActionFailed."""
    return _services.plan(Verb.RELOAD, arguments, context)


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, do that and wait until it is well. Raise Refused, ActionFailed or OutcomeUnknown."""
    return _services.run(Verb.RELOAD, plan, context)
