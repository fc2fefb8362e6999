"""Is an alert silenced or inhibited now? Asked alone for a few, of all with its name for many."""

from __future__ import annotations

from collections.abc import Mapping

from remediator.evidence.alertmanager import Alertmanagers, States, Suppressed
from remediator.evidence.firing import ANSWER_AGE
from remediator.evidence.shared import Shared
from remediator.evidence.silences import Silence
from selfheal.common.clock import Clock


class Suppression:
    """Asks the Alertmanagers. Methods raise SourceUnavailable if none of them answers."""

    def __init__(self, alertmanagers: Alertmanagers, clock: Clock) -> None:
        self._alertmanagers = alertmanagers
        self._clock = clock
        self._states: Shared[States] = Shared(clock, ANSWER_AGE)
        self._silences: Shared[tuple[Silence, ...]] = Shared(clock, ANSWER_AGE)

    def of(
        self, labels: Mapping[str, str], fingerprint: str, fresh_after: float, one_by_one: bool
    ) -> tuple[Suppressed, float]:
        """Given an alert, return what suppresses it, and when that was asked: at `fresh_after` or later."""
        name = labels.get("alertname", "")
        asked_at = self._clock.now()
        if one_by_one and self._states.peek(name, fresh_after) is None:
            known = self._alertmanagers.suppressed_one(labels).of(labels, fingerprint)
            if known is not None:
                return known, asked_at
            known = Suppressed()
        else:
            answer = self._states.get(name, fresh_after, lambda: self._alertmanagers.suppressed_all(name))
            known = answer.value.of(labels, fingerprint) or Suppressed()
            asked_at = answer.asked_at
        # an Alertmanager that does not have the alert (after its own restart) still has its silences
        silences = self._silences.get("silences", fresh_after, self._alertmanagers.silences)
        covering = tuple(silence.id for silence in silences.value if silence.covers(labels))
        return known | Suppressed(covering), min(asked_at, silences.asked_at)
