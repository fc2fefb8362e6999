"""What playbooks have earned, as it stands: rungs, the evidence for the next one, and how runs were judged."""

from __future__ import annotations

import sqlite3

from remediator.model import Json, Mode
from remediator.model.trust import Evidence, Standing
from remediator.store.breakers import BreakerReads
from remediator.store.rows import plain

CLEARINGS = 500
"""The newest shadow decisions that are looked at for how soon alerts go away by themselves."""


class TrustReads(BreakerReads):
    """Reading rungs and what they stand on."""

    def rung(self, playbook: str, digest: str) -> Mode | None:
        """Return the rung that a person or a demotion set for this version; None where its file's mode counts."""
        row = self._one("trust_rung", playbook=plain(playbook), digest=digest)
        return None if row is None else Mode(row["rung"])

    def rungs(self) -> dict[tuple[str, str], Mode]:
        """Return every such rung by (playbook, digest)."""
        return {(row["playbook"], row["digest"]): Mode(row["rung"]) for row in self._all("trust_rungs")}

    def standing(self, playbook: str, digest: str) -> Standing | None:
        """Return the rung of this version with who set it and why, or None."""
        row = self._one("trust_standing", playbook=plain(playbook), digest=digest)
        return None if row is None else _standing_of(row)

    def standing_elsewhere(self, playbook: str, digest: str) -> Standing | None:
        """Return the rung that was set last for another version of the playbook, or None."""
        row = self._one("trust_elsewhere", playbook=plain(playbook), digest=digest)
        return None if row is None else _standing_of(row)

    def evidence(self, playbook: str, digest: str, rung: Mode) -> Evidence:
        """Return what counts for this version on this rung."""
        row = self._one("trust_evidence", playbook=plain(playbook), digest=digest, rung=rung)
        return Evidence() if row is None else _evidence_of(row)

    def unknown_of(self, playbook: str) -> int:
        """Return how many remediations of the playbook, whichever its version, have an unknown outcome."""
        row = self._one("trust_unknown", playbook=plain(playbook))
        return 0 if row is None else int(row["count"])

    def shadows_due(self, at: float, limit: int) -> list[int]:
        """Return up to `limit` remediations whose shadow decision's time was over at `at`, a time without jumps."""
        return [int(row["id"]) for row in self._all("trust_runs_due", at=at, limit=limit)]

    def judgements(self, playbook: str, digest: str, rung: Mode) -> list[Json]:
        """Return how often this version was judged how on this rung, by which guard and why; the most frequent first.

        Unlike the evidence, this tells of everything that retention has left, whenever the rung was changed.
        """
        found = self._all("trust_judgements", playbook=plain(playbook), digest=digest, rung=rung)
        return [{key: row[key] for key in ("judgement", "guard", "reason", "count")} for row in found]

    def clearings(self, playbook: str, digest: str) -> list[float]:
        """Return after how many seconds the alerts of the newest shadow decisions were over, the newest first."""
        found = self._all("trust_clearings", playbook=plain(playbook), digest=digest, limit=CLEARINGS)
        return [float(row["cleared_after"]) for row in found]

    def proposals(self) -> list[tuple[str, Mode, Evidence]]:
        """Return (playbook, rung, what it earned there) where a promotion of a version in force is proposed."""
        return [(row["playbook"], Mode(row["rung"]), _evidence_of(row)) for row in self._all("trust_proposed")]

    def versions(self) -> dict[str, str]:
        """Return the digest of each playbook that was last in force."""
        return {row["playbook"]: row["digest"] for row in self._all("trust_versions")}


def _standing_of(row: sqlite3.Row) -> Standing:
    return Standing(
        playbook=row["playbook"],
        digest=row["digest"],
        rung=Mode(row["rung"]),
        changed_at=row["changed_at"],
        after=row["after"],
        who=row["who"],
        why=row["why"],
    )


def _evidence_of(row: sqlite3.Row) -> Evidence:
    return Evidence(
        judged=row["judged"],
        succeeded=row["succeeded"],
        first_at=row["first_at"],
        last_at=row["last_at"],
        recent=row["recent"],
        proposed=bool(row["proposed"]),
    )
