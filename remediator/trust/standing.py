"""What decides whether one playbook may climb, gathered from the store."""

from __future__ import annotations

from remediator.model import Json, Mode, Playbook
from remediator.model.trust import Evidence, Ladder, lowest
from remediator.store import Reader

DAY = 86_400.0


def ladder_of(reader: Reader, playbook: Playbook, highest: Mode) -> Ladder:
    """Given a playbook on the rung that it has earned, and the configuration's highest, return how it stands."""
    mode = lowest(playbook.mode, highest)
    return Ladder(
        mode=mode,
        highest=highest,
        proves=playbook.verify is not None,
        evidence=reader.evidence(playbook.name, playbook.digest, mode),
        unknown=reader.unknown_of(playbook.name),
    )


def numbers(evidence: Evidence) -> Json:
    """Return what a promotion is proposed and confirmed with."""
    return {
        "judged": evidence.judged,
        "succeeded": evidence.succeeded,
        "lower_bound": round(evidence.lower_bound, 4),
        "days": round(evidence.span / DAY, 2),
    }
