"""Writes a message where the remediator announces: for people, and to try a playbook without any effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.errors import Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Outcome, Plan

name = "notify.log"
version = 1
effect = Effect.READ_ONLY
idempotent = True
arguments: Mapping[str, Argument] = {"message": Argument(ArgumentType.TEXT, required=True)}


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:  # noqa: ARG001 - every action is given its context
    """Given a message, return the plan to write it."""
    return Plan(({"kind": "message", "text": arguments["message"]},))


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, write its messages. Nothing on the host is touched, so the outcome has no effects."""
    texts = [item.get("text") for item in plan.items if item.get("kind") == "message"]
    if len(texts) != len(plan.items) or not all(isinstance(text, str) for text in texts):
        raise Refused("the stored plan holds something that is no message")
    context.reached("effect_begun")
    for text in texts:
        context.announce(str(text))
    context.reached("effect_done")
    return Outcome(True, (), {"written": len(texts)})
