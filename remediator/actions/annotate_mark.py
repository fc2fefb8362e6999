"""Marks a moment on Grafana's curves with a text: a row that is committed with the result and shown as a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.errors import Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Outcome, Plan

name = "annotate.mark"
version = 1
effect = Effect.READ_ONLY
idempotent = True
arguments: Mapping[str, Argument] = {"text": Argument(ArgumentType.TEXT, required=True)}


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:  # noqa: ARG001 - every action is given its context
    """Given a text, return the plan to mark the moment with it."""
    return Plan(({"kind": "mark", "text": arguments["text"]},))


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, return its marks as rows for the centre. Nothing on the host is touched: no effects."""
    rows = tuple(item for item in plan.items if item.get("kind") == "mark" and isinstance(item.get("text"), str))
    if len(rows) != len(plan.items):
        raise Refused("the stored plan holds something that is no mark")
    context.reached("effect_begun")
    context.reached("effect_done")
    return Outcome(True, (), {"marked": len(rows)}, rows)
