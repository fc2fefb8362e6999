"""Forgets that a service failed, so that one that failed too often may be started again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.actions import _services
from remediator.actions._services import Verb
from remediator.model import Argument, Context, Effect, Outcome, Plan

name = "service.reset_failed"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = True
arguments: Mapping[str, Argument] = _services.arguments_of(Verb.RESET_FAILED)


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    return _services.choice_problem(values)


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given a service, return what would be forgotten. Raise Refused or ActionFailed."""
    return _services.plan(Verb.RESET_FAILED, arguments, context)


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, do that and wait until it is well. Raise Refused, ActionFailed or OutcomeUnknown."""
    return _services.run(Verb.RESET_FAILED, plan, context)
