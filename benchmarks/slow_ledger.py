"""The ledger's action, taking two seconds: for what must happen while a step runs."""

from __future__ import annotations

import threading

from benchmarks.ledger import arguments, effect, idempotent, plan, version
from benchmarks.ledger import run as append
from remediator.model import Context, Outcome, Plan

__all__ = ["arguments", "effect", "idempotent", "name", "plan", "run", "version"]

name = "ledger.slow"


def run(given: Plan, context: Context) -> Outcome:
    """Append the plan's id, two seconds later."""
    threading.Event().wait(2.0)
    return append(given, context)
