"""Requests to people: each for exactly one plan. The database itself lets none be answered twice."""

from __future__ import annotations

import json
import sqlite3

from remediator.model import Approval, ApprovalState, Json, Plan
from remediator.store.codec import decode_frozen, encode
from remediator.store.rows import Rows
from selfheal.common.clock import to_rfc3339

NEWEST = 2**62
"""A cursor beyond every id."""


class ApprovalReads(Rows):
    """Reading requests."""

    def approval(self, id: int) -> Approval | None:
        """Return a request, or None if there is none with this id."""
        row = self._one("approval", id=id)
        return None if row is None else approval_of(row)

    def newest_approval(self, remediation_id: int) -> Approval | None:
        """Return the last request of a remediation, or None if it never made one."""
        row = self._one("newest_approval", id=remediation_id)
        return None if row is None else approval_of(row)

    def list_approvals(self, limit: int, before: int | None = None, state: str | None = None) -> Json:
        """Return {"items", "next"}: up to `limit` requests older than id `before`, in `state` if given."""
        rows = self._all("list_approvals", before=NEWEST if before is None else before, state=state, limit=limit + 1)
        more = len(rows) > limit
        items = [_shown(row) for row in rows[:limit]]
        return {"items": items, "next": items[-1]["id"] if more and items else None}

    def approval_detail(self, id: int) -> Json | None:
        """Return one request with everything a person must see to answer it, or None if there is none."""
        row = self._one("one_approval", id=id)
        return None if row is None else _shown(row)


class ApprovalWrites(ApprovalReads):
    """Writing requests."""

    def add_approval(self, remediation_id: int, plan_hash: str, plan: Plan, now: float, expires_at: float) -> int:
        """Ask people for this plan, and return the request's id; an earlier request that is under way is void."""
        self.end_approvals(remediation_id, ApprovalState.VOID)
        return self._insert(
            "add_approval",
            remediation_id=remediation_id,
            plan_hash=plan_hash,
            plan=encode(plan),
            now=now,
            expires_at=expires_at,
        )

    def answer_approval(
        self, id: int, plan_hash: str, state: ApprovalState, now: float, who: str, how: str, why: str | None = None
    ) -> bool:
        """Store a person's answer; say whether it counts: only the first one, for this plan, in time."""
        values = {"plan_hash": plan_hash, "state": state, "who": who, "how": how, "why": why}
        return self._run("answer_approval", id=id, now=now, **values) == 1

    def use_approval(self, remediation_id: int) -> bool:
        """What was granted begins now; say whether anything was."""
        return self._run("use_approval", id=remediation_id) == 1

    def end_approvals(self, remediation_id: int, state: ApprovalState) -> None:
        """What is still asked, or was granted and not begun, ends as `expired` or `void`."""
        self._run("end_approvals", id=remediation_id, state=state)


def approval_of(row: sqlite3.Row) -> Approval:
    """Given a row of approval, return the value."""
    return Approval(
        id=row["id"],
        remediation_id=row["remediation_id"],
        plan_hash=row["plan_hash"],
        state=ApprovalState(row["state"]),
        requested_at=row["requested_at"],
        expires_at=row["expires_at"],
        decided_at=row["decided_at"],
        who=row["who"],
        why=row["why"],
        how=row["how"],
    )


def _shown(row: sqlite3.Row) -> Json:
    frozen = decode_frozen(row["frozen"])
    return {
        "id": str(row["id"]),
        "remediation_id": str(row["remediation_id"]),
        "state": row["state"],
        "plan_hash": row["plan_hash"],
        "requested_at": to_rfc3339(row["requested_at"]),
        "expires_at": to_rfc3339(row["expires_at"]),
        "decided_at": None if row["decided_at"] is None else to_rfc3339(row["decided_at"]),
        "who": row["who"],
        "why": row["why"],
        "how": row["how"],
        "playbook": frozen.playbook,
        "target": str(frozen.target),
        "alert": {
            "alertname": row["alertname"],
            "fingerprint": row["fingerprint"],
            "starts_at": to_rfc3339(row["starts_at"]),
            "labels": json.loads(row["labels"]),
        },
        "steps": [
            {
                "action": step.action,
                "effect": step.effect.value,
                "arguments": step.arguments,
                "timeout": step.timeout,
                "always": step.always,
            }
            for step in frozen.steps
        ],
        "plan": json.loads(row["plan"]),
    }
