"""A test action whose effect can be counted from outside: each run appends its step's id to a file and syncs it.

It is not idempotent on purpose: an id that stands twice in the file is an effect that happened twice.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remediator.model import Argument, ArgumentType, Context, Effect, Outcome, Plan

name = "ledger.append"
version = 1
effect = Effect.DESTRUCTIVE
idempotent = False
where = "host"
arguments: Mapping[str, Argument] = {"note": Argument(ArgumentType.TEXT)}

file = Path("ledger")


def plan(given: Mapping[str, Any], _context: Context) -> Plan:
    """Return a plan with an id of its own: the id of this one step."""
    return Plan(({"kind": "command", "service": "ledger", "verb": uuid.uuid4().hex},), {"note": given.get("note", "")})


def run(plan: Plan, context: Context) -> Outcome:
    """Append the plan's id and sync, so that a kill right afterwards cannot hide the effect."""
    context.reached("effect_begun")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, plan.items[0]["verb"].encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    context.reached("effect_ended")
    return Outcome(True, plan.items)


def entries(path: Path) -> list[str]:
    """Return the ids in the ledger, in order."""
    return path.read_text("ascii").split() if path.exists() else []
