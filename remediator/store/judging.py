"""Runs are judged, and rungs taken away, in the transaction that stores what became of them.

A run counts for the rung on which it was begun, and only if that was after the rung was last changed; that it made
things worse always counts. What a promotion needs is `remediator.model.trust`'s to say, and a person's to give.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from remediator.model import Frozen, Json, Mode, Reason, Remediation, State, Verdict
from remediator.model.trust import NOT_FIXED, RECENT, Judgement, Run, below, judge, lowest
from remediator.store.breakers import BreakerWrites
from remediator.store.remediations import Moved
from remediator.store.rows import plain
from remediator.store.trust import TrustReads

LATE = 60.0
"""Seconds after its time within which a shadow decision must be looked at: later nobody knows how it was then."""
JUDGED = frozenset({State.SUCCEEDED, State.INEFFECTIVE, State.FAILED, State.UNDONE})
"""Ends of what may have acted."""
COUNTED = frozenset({Judgement.WAITING, Judgement.SUCCESS, Judgement.FAILURE})
"""How a shadow decision is judged that would have run."""


class TrustWrites(TrustReads, BreakerWrites):
    """Judging runs, taking rungs away, and noting what people say."""

    not_fixed = NOT_FIXED

    def _count_move(self, moved: Moved) -> None:
        """Count what it says of its playbook."""
        super()._count_move(moved)
        if moved.to is State.OBSERVED:
            self._shadow(moved.id, moved.detail or {})
        elif moved.to in JUDGED or moved.verdict is Verdict.WORSE:
            self._judge(moved.id, moved.reason, moved.now)

    def close_occurrence(self, fingerprint: str, now: float, how: str) -> int | None:
        """Close an occurrence as the room below does; the alerts of its shadow decisions are over without us."""
        id = super().close_occurrence(fingerprint, now, how)
        found = [] if id is None else self._all("trust_runs_open", occurrence_id=id)
        at = self._passed() if found else 0.0
        for row in found:
            seconds = max(0.0, at - row["at"])
            if row["due"] is None:
                self._run("trust_run_cleared", id=row["remediation_id"], cleared_after=seconds)
            elif at <= row["due"]:
                self._conclude(row, Judgement.FAILURE, Reason.SELF_RESOLVED, now, seconds)
            else:
                # nobody had looked when its time was over: it may have been well long before this was heard
                self._conclude(row, Judgement.LEFT_OUT, Reason.BLIND, now, seconds)
        return id

    def judge_shadow(self, id: int, firing: bool | None, now: float) -> Judgement | None:
        """Given whether its alert is on when a shadow decision's time is over, return how it is judged.

        None of `firing` is that nobody can tell. It returns None while it goes on waiting: for its time, or, up to LATE
        seconds after that, for somebody who can tell.
        """
        row = self._one("trust_run", id=id)
        at = self._passed()
        if row is None or row["due"] is None or at < row["due"]:
            return None
        late = at > row["due"] + LATE
        if firing is None and not late:
            return None
        if firing is None or late:
            return self._conclude(row, Judgement.LEFT_OUT, Reason.BLIND, now)
        if firing:
            return self._conclude(row, Judgement.SUCCESS, None, now)
        return self._conclude(row, Judgement.FAILURE, Reason.SELF_RESOLVED, now, max(0.0, at - row["at"]))

    def propose(self, playbook: str, digest: str, rung: Mode, proposed: bool) -> None:
        """Note that a promotion from this rung is proposed, or is no more."""
        self._run("trust_propose", playbook=plain(playbook), digest=digest, rung=rung, proposed=int(proposed))

    def set_rung(self, playbook: str, digest: str, rung: Mode, who: str, why: str, now: float) -> None:
        """Set a version's rung; what counted for it counts no more, and what is held of it is decided again at once.

        Raise sqlite3.IntegrityError if that is higher than it was set before, and nobody is named.
        """
        name = plain(playbook)
        self._run("set_trust", playbook=name, digest=digest, rung=rung, now=now, who=plain(who), why=plain(why))
        self._run("drop_trust_evidence", playbook=name, digest=digest)
        for row in self._all("trust_held", playbook=name):
            self.schedule("remediation", row["id"], now)
        self.schedule("trust", 0, now)

    def set_version(self, playbook: str, digest: str) -> None:
        """Note which version of a playbook is in force."""
        self._run("set_trust_version", playbook=plain(playbook), digest=digest)

    def _judge(self, id: int, reason: Reason | None, now: float) -> None:
        """Judge what acted: once, when it ends or is found to be worse."""
        found = self.remediation(id)
        if found is None or found.frozen.mode is Mode.OBSERVE or self._one("trust_run", id=id) is not None:
            return
        looked = self._one("trust_acted", id=id)
        assert looked is not None
        run = Run(
            state=found.state,
            verdict=found.verdict,
            reason=reason,
            acted=bool(looked["acted"]),
            doubted=bool(looked["doubted"]),
            # a call that came when its last step had begun called nothing off
            called_off=found.cancel is Reason.CANCELLED and looked["ended"] < len(found.frozen.steps),
            by_hand=found.frozen.manual,
        )
        judgement = judge(run)
        if not run.acted and judgement is Judgement.LEFT_OUT:
            return
        self._add(found, judgement, reason=reason)
        if judgement is Judgement.WORSE:
            self._demote(found.frozen, id, {"because": "worse"}, now)
        elif judgement is not Judgement.LEFT_OUT:
            self._count(found.frozen, id, judgement is Judgement.SUCCESS, now)

    def _shadow(self, id: int, told: Json) -> None:
        """Judge what mode observe would have done: what would have been begun waits for whether it was needed."""
        found = self.remediation(id)
        if found is None:
            return
        frozen = found.frozen
        allowed = told.get("answer") == "allow"
        if frozen.manual or (allowed and frozen.verify is None):
            # whether it was needed is told by the alert, and for how long it is waited by what would prove it
            self._add(found, Judgement.LEFT_OUT, reason=None if frozen.manual else Reason.PROOF_NOT_ASKED)
        elif not allowed:
            self._add(found, Judgement.BLOCKED, str(told.get("guard", "")), _reason_of(told.get("reason")))
        elif not told.get("count"):
            self._add(found, Judgement.BLOCKED, "plan", Reason.NOTHING_TO_DO)
        elif (stopped := self._stopped_by_shadows(frozen)) is not None:
            self._add(found, Judgement.BLOCKED, *stopped)
        elif any(row["digest"] == frozen.digest for row in self._of_occurrence(found)):
            self._add(found, Judgement.LEFT_OUT, reason=Reason.DUPLICATE)
        else:
            assert frozen.verify is not None
            self._add(found, Judgement.WAITING, due=self._passed() + frozen.verify.within)

    def _of_occurrence(self, remediation: Remediation) -> list[sqlite3.Row]:
        open_ones = self._all("trust_runs_open", occurrence_id=remediation.occurrence_id)
        name = plain(remediation.frozen.playbook)
        return [row for row in open_ones if row["playbook"] == name and row["judgement"] in COUNTED]

    def _stopped_by_shadows(self, frozen: Frozen) -> tuple[str, Reason] | None:
        """Return what would have stopped it, had the shadow decisions before it acted: they used up limits too."""
        at, limits, playbook = self._passed(), frozen.limits, plain(frozen.playbook)
        since, target = at - limits.cooldown, plain(str(frozen.target))
        # the rate first: in a storm it answers for nearly all
        for rate in limits.rate:
            used = self._one("trust_shadows_since", playbook=playbook, since=at - rate.window)
            if used is not None and used["count"] >= rate.count:
                return "rate", Reason.RATE_LIMITED
        if self._one("trust_shadow_on", playbook=playbook, since=since, target=target) is not None:
            return "cooldown", Reason.COOLDOWN
        return None

    def _add(
        self,
        found: Remediation,
        judgement: Judgement,
        guard: str = "",
        reason: Reason | None = None,
        due: float | None = None,
    ) -> None:
        self._run(
            "add_trust_run",
            id=found.id,
            occurrence_id=found.occurrence_id,
            playbook=plain(found.frozen.playbook),
            digest=found.frozen.digest,
            target=plain(str(found.frozen.target)),
            rung=found.frozen.mode,
            at=self._passed(),
            judgement=judgement,
            guard=guard,
            reason=reason,
            due=due,
        )

    def _conclude(
        self, row: sqlite3.Row, judgement: Judgement, reason: Reason | None, now: float, cleared: float | None = None
    ) -> Judgement:
        """Judge a shadow decision that waited, unless something acted upon its target meanwhile."""
        id = int(row["remediation_id"])
        if self._one("trust_others_acted", id=id, target=row["target"]) is not None:
            judgement, reason = Judgement.LEFT_OUT, Reason.LOCKED
        self._run("judge_trust_run", id=id, judgement=judgement, reason=reason, cleared_after=cleared)
        found = self.remediation(id)
        if found is not None and judgement is not Judgement.LEFT_OUT:
            self._count(found.frozen, id, judgement is Judgement.SUCCESS, now)
        return judgement

    def _count(self, frozen: Frozen, id: int, success: bool, now: float) -> None:
        """Count a judged run for the rung it began on; enough that were not fixed take the rung away."""
        standing = self.standing(frozen.playbook, frozen.digest)
        if standing is not None and id <= standing.after:
            return
        at = self._passed()
        before = self.evidence(frozen.playbook, frozen.digest, frozen.mode)
        after = replace(
            before,
            judged=before.judged + 1,
            succeeded=before.succeeded + success,
            first_at=at if before.first_at is None else before.first_at,
            last_at=at,
            recent=(before.recent + str(int(success)))[-RECENT:],
        )
        self._run(
            "set_trust_evidence",
            playbook=plain(frozen.playbook),
            digest=frozen.digest,
            rung=frozen.mode,
            judged=after.judged,
            succeeded=after.succeeded,
            first_at=after.first_at,
            last_at=after.last_at,
            recent=after.recent,
        )
        if frozen.mode is not Mode.OBSERVE and after.demotes(self.not_fixed):
            self._demote(frozen, id, {"because": "not_fixed", "recent": after.recent}, now)
        elif before.proposed is bool(after.missing()):
            # proposed or withdrawn by whoever knows the playbooks in force
            self.schedule("trust", 0, now)

    def _demote(self, frozen: Frozen, id: int, told: Json, now: float) -> None:
        """Take one rung away: from the one that is set, or the one that the run was on where that is lower."""
        standing = self.standing(frozen.playbook, frozen.digest)
        present = frozen.mode if standing is None else lowest(standing.rung, frozen.mode)
        to = below(present)
        detail = {"playbook": frozen.playbook, "digest": frozen.digest, **told}
        self.add_event("demoted", now, remediation_id=id, old=present, new=to, reason=Reason.DEMOTED, detail=detail)
        self.set_rung(frozen.playbook, frozen.digest, to, "", str(told["because"]), now)

    def _passed(self) -> float:
        """Return the wall clock without its jumps, both read now: what a caller read earlier may be before a jump."""
        return self._clock.now() - self.set_by()


def _reason_of(value: object) -> Reason | None:
    return next((reason for reason in Reason if reason == value), None)
