"""A test action whose effect can be counted from outside: a process of its own appends the step's id and syncs it.

Nothing of the remediator's store is asked to count it, and what kills the remediator does not kill the effect.
It is not idempotent on purpose: an id that stands twice in the file is an effect that happened twice, and so is a note
of which each alert has its own: a second remediation would give its step an id of its own.
"""

from __future__ import annotations

import subprocess
import uuid
from collections import Counter
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
APPEND = 'echo "$1 $(date +%s.%N) $3" >> "$2" && exec sync "$2"'
"""What the effect's own process does: one write of a short line at the end of a file is whole or not at all."""


def plan(given: Mapping[str, Any], _context: Context) -> Plan:
    """Return a plan with an id of its own: the id of this one step."""
    return Plan(({"kind": "command", "service": "ledger", "verb": uuid.uuid4().hex},), {"note": given.get("note", "")})


def run(plan: Plan, context: Context) -> Outcome:
    """Have the plan's id appended and synced, so that a kill right afterwards cannot hide the effect."""
    context.reached("effect_begun")
    line = (plan.items[0]["verb"], str(file), plan.detail.get("note", ""))
    subprocess.run(["/bin/sh", "-c", APPEND, "ledger", *line], check=True)
    context.reached("effect_ended")
    return Outcome(True, plan.items)


def entries(path: Path) -> list[str]:
    """Return the ids in the ledger, in order."""
    return [line.split()[0] for line in lines(path)]


def doubled(path: Path) -> int:
    """Return how many effects too many the ledger has, given that each note was asked for once."""
    return sum(count - 1 for count in Counter(line.split(maxsplit=2)[2] for line in lines(path)).values())


def lines(path: Path) -> list[str]:
    """Return the lines of the ledger, in order: id, seconds since the epoch, note."""
    return path.read_text("utf-8").splitlines() if path.exists() else []
