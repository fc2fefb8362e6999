"""Starts a service that does not run; to take that back is to stop it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.actions import _services
from remediator.actions._services import Verb
from remediator.model import Argument, Context, Effect, Outcome, Plan

name = "service.start"
version = 1
effect = Effect.REVERSIBLE
idempotent = False
arguments: Mapping[str, Argument] = _services.arguments_of(Verb.START)


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    return _services.choice_problem(values)


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a service, return what would be started. Raise Refused or ActionFailed."""
    return _services.plan(Verb.START, arguments, context)


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, do that and wait until it is well. Raise Refused, ActionFailed or OutcomeUnknown."""
    return _services.run(Verb.START, plan, context)


def undo(plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Given what `run` started, stop that, if it is still what was started. Raise as `run`."""
    return _services.undo(Verb.START, plan, outcome, context)
