"""Silences: whether this host's remediator may make any in Alertmanager, and for how long at most."""

from __future__ import annotations

from dataclasses import dataclass

from selfheal.common.durations import format_duration


@dataclass(frozen=True, slots=True)
class Silences:
    """What the policy says of silences; without the section none may be made."""

    longest: float = 0.0
    """Seconds that one may last."""

    def refusal(self, seconds: float, source: str) -> str | None:
        """Given how long one is to last, return why it may not be made, or None."""
        if not self.longest:
            return f"a silence is not permitted; write silences: {{longest: 2h}} in {source}"
        if not 0 < seconds <= self.longest:
            most = format_duration(self.longest)
            return f"a silence of {format_duration(seconds)} is not permitted; {source} allows {most} at most"
        return None
