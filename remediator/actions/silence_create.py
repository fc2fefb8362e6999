"""Silences the alert itself in Alertmanager for a while, so that people are not called while it is being mended.

It acts upon the centre, not upon the host. A silence is never part of a proof: the rule's own condition is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from remediator.errors import Refused
from remediator.model import Argument, ArgumentType, Context, Effect, Json, Outcome, Plan, Silencer
from remediator.policy import Door

name = "silence.create"
version = 1
effect = Effect.REVERSIBLE
idempotent = True
arguments: Mapping[str, Argument] = {
    "for": Argument(ArgumentType.DURATION, required=True),
    "comment": Argument(ArgumentType.TEXT, required=True),
}


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:
    """Given how long and why, return the silence: it fits the alert's frozen labels and nothing else.

    Raise Refused if the policy permits none for so long, or the labels do not tell this alert from others.
    """
    policy, seconds = context.policy, float(arguments["for"])
    refusal = policy.may_silence(seconds)
    if refusal is not None:
        raise policy.refused(Door.HTTP, refusal)
    matchers = _door(context).matchers(context.alert)
    if not matchers:
        raise policy.refused(
            Door.HTTP, "the alert's labels name no alertname and instance: a silence would hide others"
        )
    item: Json = {"kind": "silence", "seconds": seconds, "comment": arguments["comment"], "matchers": list(matchers)}
    # found again by it after a crash, and by whoever takes it back
    told = json.dumps([context.remediation, context.alert.get("fingerprint"), item], sort_keys=True)
    return Plan((item,), {"mark": f"{context.remediation}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"})


def run(plan: Plan, context: Context) -> Outcome:
    """Given a stored plan, make its silence; the one that an earlier attempt made is kept.

    Raise Refused if the policy does not permit it any more, OutcomeUnknown if no Alertmanager says that it made it.
    """
    item, mark = _item(plan), str(plan.detail["mark"])
    context.reached("effect_begun")
    made = _door(context).create(context.policy, {**item, "mark": mark})
    context.reached("effect_done")
    return Outcome(True, ({**item, **made},), made)


def undo(plan: Plan, outcome: Outcome, context: Context) -> Outcome:  # noqa: ARG001 - the mark says which it was
    """Given a stored plan, end its silence; one that has ended by itself is done. Raise as `run` does."""
    _item(plan)
    ended = _door(context).expire(context.policy, str(plan.detail["mark"]))
    return Outcome(True, tuple({"kind": "silence", "id": each} for each in ended), {"ended": len(ended)})


def _item(plan: Plan) -> Json:
    found = plan.items[0] if len(plan.items) == 1 else {}
    if found.get("kind") != "silence" or not found.get("matchers") or not plan.detail.get("mark"):
        raise Refused("the stored plan names no silence")
    return found


def _door(context: Context) -> Silencer:
    if context.silences is None:
        raise context.policy.refused(
            Door.HTTP, "there is no Alertmanager to silence anything in; name one under alertmanagers"
        )
    return context.silences
