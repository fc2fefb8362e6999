"""What the guards ask of the past, read inside the writer's transaction."""

from __future__ import annotations

from array import array

from remediator.model import History, Mode, Rate, RateUse, Remediation, Touched
from remediator.store.approvals import ApprovalReads
from remediator.store.remediations import RemediationReads
from remediator.store.rows import plain, to_text
from remediator.store.starts import use_of


class HistoryReads(RemediationReads, ApprovalReads):
    """Reading the past for one decision."""

    def history(self, remediation: Remediation, now: float) -> History:
        """Return what the store knows that concerns a decision about `remediation` at `now`.

        A use counts in a rate as long as less than the rate's window has passed since it started.
        """
        frozen = remediation.frozen
        target, playbook = plain(str(frozen.target)), plain(frozen.playbook)
        duplicate = self._one("live_duplicate", occurrence_id=remediation.occurrence_id, id=remediation.id)
        holder = self._one("other_lock_holder", key=plain(frozen.lock_key), id=remediation.id)
        effect = self._one("last_effect", target=target)
        rates = [
            *(self._use("target", target, rate, remediation, now) for rate in frozen.limits.rate),
            *(self._use("playbook", playbook, rate, remediation, now) for rate in frozen.limits.rate),
            *(self._use("all", "", rate, remediation, now) for rate in frozen.host_rates),
        ]
        return History(
            live_duplicate=None if duplicate is None else int(duplicate["id"]),
            lock_holder=None if holder is None else int(holder["remediation_id"]),
            last_effect_at=None if effect is None else effect["at"],
            last_effect_by=None if effect is None else int(effect["remediation_id"]),
            rates=tuple(rates),
            attempts=self.attempts(remediation.occurrence_id),
            touched=self.touched(remediation, now),
            approval=self.newest_approval(remediation.id) if frozen.mode is Mode.APPROVE else None,
        )

    def touched(self, remediation: Remediation, now: float) -> tuple[Touched, ...]:
        """Return the other targets of the group that the blast radius is about: in flight, or touched in its window.

        Whoever's alert has the group's labels counts, whichever playbook it was.
        """
        frozen = remediation.frozen
        radius = frozen.limits.blast_radius
        if radius is None:
            return ()
        rows = self._all(
            "touched",
            id=remediation.id,
            target=plain(str(frozen.target)),
            since=now - radius.window,
            group=to_text({label: frozen.labels.get(label, "") for label in radius.by}),
        )
        return tuple(
            Touched(row["target"], None if row["in_flight"] else row["touched_at"] + radius.window) for row in rows
        )

    def last_effect_end(self, target: str) -> float | None:
        """Return when the last effect on a target ended, by anyone; infinity while one is under way, None for none."""
        row = self._one("last_effect_end", target=plain(target))
        return None if row is None or row["at"] is None else float(row["at"])

    def _use(self, scope: str, name: str, rate: Rate, remediation: Remediation, now: float) -> RateUse:
        """Count the other remediations of a scope that started within the window, and say when there is room again."""
        since = now - rate.window

        def load() -> list[float]:
            return [row["started_at"] for row in self._all(f"starts_of_{scope}", name=name, since=since)]

        # a target has few starts, and there may be many targets: only the wide scopes are worth keeping in memory
        times = array("d", load()) if scope == "target" else self._starts.within(scope, name, since, now, load)
        return use_of(scope, rate, times, remediation.started_at, now)
