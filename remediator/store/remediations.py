"""Remediations: their states, locks and proof. The database refuses every move that the model does not permit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from remediator.model import (
    ENDS,
    LOCKED,
    ApprovalState,
    Frozen,
    GuardAnswer,
    Json,
    Mode,
    Reason,
    Remediation,
    State,
    Verdict,
)
from remediator.store.approvals import ApprovalWrites
from remediator.store.codec import decode_frozen, encode
from remediator.store.errors import IllegalMove
from remediator.store.occurrences import OccurrenceReads, OccurrenceWrites
from remediator.store.rows import plain, to_text


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was made, for what is counted with it."""

    id: int
    to: State
    reason: Reason | None
    now: float
    verdict: Verdict | None
    detail: Json | None


class RemediationReads(OccurrenceReads):
    """Reading remediations."""

    def remediation(self, id: int) -> Remediation | None:
        """Return a remediation, or None if there is none with this id."""
        row = self._one("remediation", id=id)
        return None if row is None else remediation_of(row)

    def live_remediations(self) -> list[Remediation]:
        """Return the remediations in a state of model.LIVE (watching is not among them), the oldest first."""
        return [remediation_of(row) for row in self._all("live_remediations")]

    def unfinished_remediations(self) -> list[Remediation]:
        """Return every remediation that has not ended, watching ones too, the oldest first."""
        return [remediation_of(row) for row in self._all("unfinished_remediations")]

    def oldest_under_way(self) -> dict[str, float]:
        """Return, by state that holds a lock, when the oldest remediation in it stored its first intent."""
        return {row["state"]: row["since"] for row in self._all("oldest_under_way")}

    def last_verified(self) -> float:
        """Return when something was last proven healed; 0 if never."""
        row = self._one("last_verified")
        return 0.0 if row is None or row["at"] is None else float(row["at"])

    def failed_since(self, since: float, most: int) -> int:
        """Return how many remediations ended failed or ineffective after `since`; counted up to `most`."""
        row = self._one("failed_since", since=since, limit=most)
        return 0 if row is None else int(row["count"])

    def held_because(self, reason: Reason) -> list[int]:
        """Return the ids of the remediations that are held for this reason."""
        return [int(row["id"]) for row in self._all("held_because", reason=reason)]

    def counts(self) -> dict[str, int]:
        """Return how many remediations are in each state; a state without any is 0."""
        return {state.value: 0 for state in State} | {row["state"]: row["count"] for row in self._all("counts")}


class RemediationWrites(RemediationReads, OccurrenceWrites, ApprovalWrites):
    """Writing remediations."""

    def add_remediation(self, occurrence_id: int, frozen: Frozen, now: float) -> int:
        """Store a pending remediation and return its id. The occurrence is thereby decided; no work row is made."""
        id = self._insert(
            "add_remediation",
            occurrence_id=occurrence_id,
            playbook=plain(frozen.playbook),
            target=plain(str(frozen.target)),
            lock_key=plain(frozen.lock_key),
            mode=frozen.mode,
            frozen=encode(frozen),
            now=now,
        )
        self._run("adopt_remediation", occurrence_id=occurrence_id, id=id)
        self.unschedule("occurrence", occurrence_id)
        self.add_event("moved", now, remediation_id=id, occurrence_id=occurrence_id, new=State.PENDING)
        return id

    def move(
        self,
        id: int,
        to: State,
        reason: Reason | None,
        now: float,
        *,
        verdict: Verdict | None = None,
        until: float | None = None,
        due: float | None = None,
        detail: Json | None = None,
    ) -> None:
        """Move a remediation to state `to`, with everything that belongs to it. Raise IllegalMove if it may not.

        With `due` its work row is due then. A state without the lock releases it and wakes the one that waited longest;
        an end deletes the work row and gives the occurrence its fate. Last, what the move says is counted.
        """
        before = self._one("standing", id=id)
        if before is None:
            raise IllegalMove(f"remediation {id} does not exist")
        old = before["state"]
        fixed = to is State.WATCHING or (to is State.SUCCEEDED and verdict is Verdict.FIXED)
        try:
            self._run(
                "move",
                id=id,
                to=to,
                reason=reason,
                now=now,
                verdict=verdict,
                until=until,
                held_since=now if to is State.HELD else None,
                verified_at=now if fixed else None,
                ended_at=now if to in ENDS else None,
            )
        except sqlite3.IntegrityError as error:
            raise IllegalMove(f"remediation {id} may not go from {old} to {to.value}") from error
        occurrence_id = int(before["occurrence_id"])
        self.add_event(
            "moved",
            now,
            remediation_id=id,
            occurrence_id=occurrence_id,
            old=old,
            new=to,
            reason=reason,
            detail=detail,
        )
        if before["mode"] == Mode.APPROVE:
            self._settle_approvals(id, to, reason)
        if due is not None:
            self.schedule("remediation", id, due)
        if to not in LOCKED:
            self._release(id, now)
        if to in ENDS:
            self.unschedule("remediation", id)
            if before["newest"] == id:
                self._fate(occurrence_id, to, reason, id, now)
        self._count_move(Moved(id, to, reason, now, verdict, detail))

    def _count_move(self, moved: Moved) -> None:
        """Count what a move says, in its transaction: each room above adds its own, after those below it."""

    def _settle_approvals(self, id: int, to: State, reason: Reason | None) -> None:
        """A granted request is used by what begins; whatever else it comes to, nothing may be granted any more."""
        if to is State.RUNNING:
            self.use_approval(id)
        elif to in ENDS:
            expired = reason is Reason.APPROVAL_EXPIRED
            self.end_approvals(id, ApprovalState.EXPIRED if expired else ApprovalState.VOID)

    def prolong(self, id: int, until: float) -> None:
        """The same hold goes on: a new `until`, and due then; no event."""
        self._run("prolong", id=id, until=until)
        self.schedule("remediation", id, until)

    def take_lock(self, key: str, id: int) -> int | None:
        """Take the lock `key` for remediation `id`. Return None when it is now ours, else who holds it."""
        self._run("take_lock", key=plain(key), id=id)
        row = self._one("lock_holder", key=plain(key))
        assert row is not None
        return None if row["remediation_id"] == id else int(row["remediation_id"])

    def set_proof(self, id: int, proof: Json) -> None:
        """Replace what verifying needs."""
        self._run("set_proof", id=id, proof=to_text(proof))

    def set_cancel(self, id: int, reason: Reason, now: float) -> None:
        """Ask a remediation that has not ended to end at its next safe point; it is due now. The first reason stays."""
        if self._run("set_cancel", id=id, reason=reason):
            self.schedule("remediation", id, now)

    def advance(self, id: int, position: int) -> None:
        """Set which step comes next."""
        self._run("advance", id=id, position=position)

    def add_decision(self, id: int, answers: Sequence[GuardAnswer], now: float) -> int:
        """Record what every guard said at one decision."""
        plain_answers = [
            {
                "guard": answer.guard,
                "answer": answer.answer.value,
                "reason": answer.reason.value,
                "detail": answer.detail,
                "until": answer.until,
            }
            for answer in answers
        ]
        return self._insert("add_decision", id=id, now=now, answers=to_text(plain_answers))

    def add_evidence(self, id: int, phase: str, body: Json, now: float) -> int:
        """Keep a piece of evidence; `phase` is `before`, `after` or `diagnose`."""
        return self._insert("add_evidence", id=id, now=now, phase=phase, body=to_text(body))

    def _release(self, id: int, now: float) -> None:
        """Give back the lock if it is held, and wake the one that waits for it longest."""
        for row in self._all("release_lock", id=id):
            waiting = self._one("longest_waiting", key=row["key"], id=id)
            if waiting is not None:
                self.schedule("remediation", waiting["id"], now)


def remediation_of(row: sqlite3.Row) -> Remediation:
    """Given a row of remediation, return the value."""
    return Remediation(
        id=row["id"],
        occurrence_id=row["occurrence_id"],
        frozen=decode_frozen(row["frozen"]),
        state=State(row["state"]),
        reason=None if row["reason"] is None else Reason(row["reason"]),
        verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
        cancel=None if row["cancel"] is None else Reason(row["cancel"]),
        position=row["position"],
        until=row["until"],
        created_at=row["created_at"],
        held_since=row["held_since"],
        started_at=row["started_at"],
        verified_at=row["verified_at"],
        ended_at=row["ended_at"],
        proof=json.loads(row["proof"]),
    )
