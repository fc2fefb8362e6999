"""The ledger's action with an undo: what is taken back stands in the ledger too, as a line of its own."""

from __future__ import annotations

from benchmarks import ledger
from benchmarks.ledger import arguments, idempotent, plan, run, version
from remediator.model import Context, Effect, Outcome, Plan

__all__ = ["arguments", "effect", "idempotent", "name", "plan", "run", "undo", "version"]

name = "ledger.enter"
effect = Effect.REVERSIBLE
UNDONE = "undone-"
"""What the line of an undo begins with; the id of the step follows."""


def undo(plan: Plan, outcome: Outcome, context: Context) -> Outcome:
    """Have it appended and synced that the effect of `plan` is taken back."""
    context.reached("undo_begun")
    taken_back = tuple({**item, "verb": UNDONE + item["verb"]} for item in outcome.effects)
    done = ledger.run(Plan(taken_back, plan.detail), context)
    context.reached("undo_ended")
    return done
