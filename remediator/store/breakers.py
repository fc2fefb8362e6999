"""Circuit breakers and what they count. Every change of one is an event; all of it within the writer's transaction."""

from __future__ import annotations

import sqlite3
from array import array

from remediator.model import (
    ALL_PLAYBOOKS,
    Breaker,
    BreakerLimits,
    BreakerState,
    Json,
    Rate,
    RateUse,
    Reason,
    State,
    Verdict,
)
from remediator.store.clocks import ClockReads, ClockWrites
from remediator.store.remediations import Moved
from remediator.store.rows import plain
from remediator.store.starts import use_of
from remediator.store.steps import StepReads, StepWrites
from selfheal.common.clock import to_rfc3339

DEFAULT_LIMITS = BreakerLimits()
FAILURES = frozenset({State.INEFFECTIVE, State.FAILED, State.UNDONE})
"""Ends that count against a breaker."""
NOBODYS_FAULT = frozenset({Reason.SELF_RESOLVED})
"""Reasons of such an end that say nothing of the playbook."""


class BreakerReads(StepReads, ClockReads):
    """Reading breakers and repeats."""

    def breakers(self) -> list[Breaker]:
        """Return every breaker that ever moved, by name."""
        return [breaker_of(row) for row in self._all("breakers")]

    def breakers_over(self, playbook: str) -> list[Breaker]:
        """Return the breakers over a playbook that are not closed: its own and the one over all."""
        return [breaker_of(row) for row in self._all("breakers_over", playbook=plain(playbook), all=ALL_PLAYBOOKS)]

    def healed(self, playbook: str, target: str, most: Rate, now: float) -> RateUse:
        """Return how often the playbook proved this target healed within the window, of how often it may."""
        set_by = self.set_by()
        found = self._all(
            "healed_since", playbook=plain(playbook), target=plain(target), since=now - set_by - most.window
        )
        return use_of("repeats", most, array("d", [row["healed_at"] + set_by for row in found]), None, now)

    def healed_often(self, most: Rate, now: float, limit: int = 50) -> list[Json]:
        """Return what was healed as often as `most` says, or more: a cause that people must find."""
        found = self._all("healed_often", since=now - self.set_by() - most.window, most=most.count, limit=limit)
        return [
            {
                "playbook": row["playbook"],
                "target": row["target"],
                "healed": row["healed"],
                "last": to_rfc3339(row["last"] + self.set_by()),
            }
            for row in found
        ]


class BreakerWrites(BreakerReads, StepWrites, ClockWrites):
    """Counting ends, and moving breakers."""

    breaker_limits = DEFAULT_LIMITS

    def _count_move(self, moved: Moved) -> None:
        """Let the breakers know how it went."""
        super()._count_move(moved)
        if moved.to in FAILURES and moved.reason not in NOBODYS_FAULT:
            self._judged(moved.id, True, moved.now)
        elif moved.to in (State.WATCHING, State.SUCCEEDED) and moved.verdict is Verdict.FIXED:
            self._judged(moved.id, False, moved.now)
        elif self._is_over(moved.to):
            self._try_again(moved.id, moved.now)

    def begin_trial(self, id: int, playbook: str, now: float) -> None:
        """A remediation begins: under a breaker that is not closed it is the one that tries.

        Raise sqlite3.IntegrityError if another tries already: the guard has asked in the same transaction.
        """
        for breaker in self.breakers_over(playbook):
            if breaker.trial != id:
                self._set(breaker, BreakerState.HALF_OPEN, now, remediation_id=id, tries_at=now, trial=id)

    def reset_breaker(self, name: str, who: str, why: str, now: float) -> Breaker | None:
        """Close a breaker because a person says so; what it counted until now counts no more.

        Return it as it was, or None if it was closed. What it held is decided again at once.
        """
        row = self._one("breaker", name=plain(name))
        if row is None or row["state"] == BreakerState.CLOSED:
            return None
        before = breaker_of(row)
        self._set(before, BreakerState.CLOSED, now, who=plain(who), why=plain(why))
        self._wake(now)
        return before

    def _is_over(self, to: State) -> bool:
        return to in (State.CANCELLED, State.SUCCEEDED, State.SKIPPED) or to in FAILURES

    def _judged(self, id: int, failed: bool, now: float) -> None:
        """Count a remediation that was judged; its trial is decided, else a breaker may open."""
        at = now - self.set_by()
        healed_at = None if failed else at
        serial = self._last_serial() + 1
        row = self._one("add_outcome", id=id, serial=serial, at=at, failed=int(failed), healed_at=healed_at)
        if row is None:
            # without an effect it shows nothing, neither for a breaker nor against it
            self._try_again(id, now)
            return
        for found in self._all("breakers_tried_by", id=id):
            breaker = breaker_of(found)
            if failed:
                self._open(breaker, now, id, breaker.failed, breaker.ended)
            else:
                self._set(breaker, BreakerState.CLOSED, now, remediation_id=id)
                self._wake(now)
        for name in (row["playbook"], ALL_PLAYBOOKS):
            self._open_if_due(name, id, now)

    def _try_again(self, id: int, now: float) -> None:
        """A trial ended without showing anything: the next one may try."""
        for row in self._all("breakers_tried_by", id=id):
            breaker = breaker_of(row)
            self._set(breaker, BreakerState.HALF_OPEN, now, remediation_id=id, tries_at=now, trial=None)
            self._wake(now)

    def _open_if_due(self, name: str, id: int, now: float) -> None:
        limits = self.breaker_limits
        row = self._one("breaker", name=name)
        before = Breaker(name, BreakerState.CLOSED, now) if row is None else breaker_of(row)
        if before.state is not BreakerState.CLOSED:
            return
        after = 0 if row is None else row["counted_after"]
        query = "outcomes_of_all" if name == ALL_PLAYBOOKS else "outcomes_of_playbook"
        found = self._one(query, playbook=name, since=now - self.set_by() - limits.window, after=after)
        assert found is not None
        if found["ended"] >= limits.minimum and found["failed"] >= limits.share * found["ended"]:
            self._open(before, now, id, found["failed"], found["ended"])

    def _open(self, breaker: Breaker, now: float, id: int, failed: int, ended: int) -> None:
        tries_at = now + self.breaker_limits.open_for
        self._set(breaker, BreakerState.OPEN, now, remediation_id=id, tries_at=tries_at, failed=failed, ended=ended)

    def _set(
        self,
        before: Breaker,
        to: BreakerState,
        now: float,
        *,
        remediation_id: int | None = None,
        tries_at: float | None = None,
        trial: int | None = None,
        failed: int | None = None,
        ended: int | None = None,
        who: str = "",
        why: str = "",
    ) -> None:
        self._run(
            "set_breaker",
            name=plain(before.name),
            state=to,
            now=now,
            # what was counted when it opened has been paid for when it closes
            counted_after=self._last_serial(),
            tries_at=tries_at,
            failed=before.failed if failed is None else failed,
            ended=before.ended if ended is None else ended,
            trial=trial,
            who=who,
            why=why,
        )
        detail: Json = {"breaker": before.name}
        if to is BreakerState.OPEN:
            detail |= {"failed": failed, "ended": ended, "tries_at": tries_at}
        if who or why:
            detail |= {"who": who, "why": why}
        reason = None if to is BreakerState.CLOSED else Reason.BREAKER_OPEN
        self.add_event(
            "breaker", now, remediation_id=remediation_id, old=before.state, new=to, reason=reason, detail=detail
        )

    def _last_serial(self) -> int:
        # not a time: the clock may be set back
        row = self._one("last_serial")
        assert row is not None
        return int(row["serial"])

    def _wake(self, now: float) -> None:
        """What a breaker held is decided again now, by all guards; those that must wait are held again."""
        for row in self._all("held_by_breakers"):
            self.schedule("remediation", row["id"], now)


def breaker_of(row: sqlite3.Row) -> Breaker:
    """Given a row of breaker, return the value."""
    return Breaker(
        name=row["name"],
        state=BreakerState(row["state"]),
        changed_at=row["changed_at"],
        failed=row["failed"],
        ended=row["ended"],
        tries_at=row["tries_at"],
        trial=row["trial"],
        who=row["who"],
        why=row["why"],
    )
