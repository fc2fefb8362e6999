"""What is silenced by a step of this very remediation is not silenced to it: its own silence must not stop it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from remediator.model import Live, StepRow


def without_own(live: Live, rows: Sequence[StepRow]) -> Live:
    """Given a live answer and every attempt of the remediation that asks, return it without the silences of these."""
    if not live.silenced_by:
        return live
    made = {
        effect.get("id")
        for row in rows
        if row.outcome is not None and not row.undo
        for effect in row.outcome.effects
        if effect.get("kind") == "silence"
    }
    return replace(live, silenced_by=tuple(each for each in live.silenced_by if each not in made))
