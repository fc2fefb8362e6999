"""Steps: an intent is stored before its effect, its result once afterwards."""

from __future__ import annotations

import json
import sqlite3

from remediator.model import Outcome, Plan, Reason, StepRow, StepState
from remediator.store.codec import decode, decode_frozen, encode
from remediator.store.errors import IllegalMove
from remediator.store.remediations import RemediationReads, RemediationWrites
from remediator.store.rows import plain


class StepReads(RemediationReads):
    """Reading steps."""

    def steps(self, id: int) -> list[StepRow]:
        """Return every attempt at a step of remediation `id`, in the order they were stored."""
        return [step_of(row) for row in self._all("steps", id=id)]

    def open_intents(self) -> list[tuple[int, StepRow]]:
        """Return (remediation id, step) of every intent without a result."""
        return [(row["remediation_id"], step_of(row)) for row in self._all("open_intents")]


class StepWrites(StepReads, RemediationWrites):
    """Writing steps."""

    def store_intent(self, id: int, position: int, plan: Plan, now: float, undo: bool = False) -> int:
        """Store that the step at `position` is about to begin, and return the step's id.

        Raise IllegalMove if another intent of the remediation has no result yet.
        """
        step_id = self._add_step(id, position, undo, StepState.INTENT, plan, now)
        self.advance(id, position)
        first = self._one("begin", id=id, now=now)
        if first is not None:
            self._starts.add("playbook", first["playbook"], now)
            self._starts.add("all", "", now)
        return step_id

    def store_result(self, step_id: int, state: StepState, outcome: Outcome | None, now: float) -> None:
        """Store what became of an intent. Raise IllegalMove if a result is stored already (unknown may be replaced)."""
        try:
            row = self._one(
                "store_result",
                id=step_id,
                state=state,
                outcome=None if outcome is None else encode(outcome),
                now=now,
            )
        except sqlite3.IntegrityError as error:
            raise IllegalMove(f"step {step_id} has its result already, or {state.value} is none") from error
        if row is None:
            raise IllegalMove(f"step {step_id} does not exist")
        self._step_event(row, state, None, now)

    def skip_step(self, id: int, position: int, reason: Reason, now: float) -> int:
        """Record that the step at `position` is left out, and why; return the step's id."""
        plan = Plan((), {"reason": reason.value})
        return self._add_step(id, position, False, StepState.SKIPPED, plan, now, reason)

    def _add_step(
        self,
        id: int,
        position: int,
        undo: bool,
        state: StepState,
        plan: Plan,
        now: float,
        reason: Reason | None = None,
    ) -> int:
        ended_at = None if state is StepState.INTENT else now
        owner = self._one("frozen_of", id=id)
        if owner is None:
            raise IllegalMove(f"remediation {id} does not exist")
        steps = decode_frozen(owner["frozen"]).steps
        if not 0 <= position < len(steps):
            raise IllegalMove(f"remediation {id} has no step {position}")
        try:
            row = self._one(
                "add_step",
                id=id,
                position=position,
                undo=int(undo),
                action=plain(steps[position].action),
                effect=steps[position].effect,
                target=owner["target"],
                state=state,
                plan=encode(plan),
                now=now,
                ended_at=ended_at,
            )
        except sqlite3.IntegrityError as error:
            raise IllegalMove(f"step {position} of remediation {id} cannot be stored: {error}") from error
        assert row is not None
        self._step_event(row, state, reason, now)
        return int(row["id"])

    def _step_event(self, row: sqlite3.Row, state: StepState, reason: Reason | None, now: float) -> None:
        detail = {"step": row["id"], "position": row["position"], "action": row["action"], "undo": bool(row["undo"])}
        self.add_event("step", now, remediation_id=row["remediation_id"], new=state, reason=reason, detail=detail)


def step_of(row: sqlite3.Row) -> StepRow:
    """Given a row of step, return the value."""
    return StepRow(
        id=row["id"],
        position=row["position"],
        attempt=row["attempt"],
        state=StepState(row["state"]),
        plan=decode(Plan, row["plan"]),
        intent_at=row["intent_at"],
        ended_at=row["ended_at"],
        outcome=None if row["outcome"] is None else decode(Outcome, row["outcome"]),
        undo=bool(row["undo"]),
    )


def effects_of(row: sqlite3.Row) -> dict[str, object]:
    """Given a row of step, return it as the API tells it, without times."""
    return {
        "position": row["position"],
        "action": row["action"],
        "state": row["state"],
        "undo": bool(row["undo"]),
        "attempt": row["attempt"],
        "plan": json.loads(row["plan"]),
        "outcome": None if row["outcome"] is None else json.loads(row["outcome"]),
    }
