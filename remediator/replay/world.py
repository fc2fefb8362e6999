"""What is on at the simulated time: the recorded history, cut short where a scenario says that an action healed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from remediator.model import Alert, identified
from remediator.replay.recording import Period, Recording, joined


class Healing(StrEnum):
    """What is assumed of every action: history cannot tell what it would have changed."""

    ALL = "all"  # every action heals: its alert ends when that is proven
    NONE = "none"  # none does: the recorded history stands


@dataclass(frozen=True, slots=True)
class Turn:
    """An alert goes on or off in the recording."""

    at: float
    on: bool
    fingerprint: str


@dataclass(slots=True)
class _Standing:
    on: bool = False
    since: float = float("-inf")


class World:
    """One scenario's alerts. It knows no time of its own: it is told each turn when that comes."""

    def __init__(self, recording: Recording, ignored: Collection[str]) -> None:
        self._ignored = tuple(ignored)
        self._known_by: dict[frozenset[tuple[str, str]], str] = {}
        self._alerts: dict[str, Alert] = {}
        self._periods: dict[str, list[Period]] = {}
        self._standing: dict[str, _Standing] = {}
        for series in recording.series:
            alert = Alert("firing", series.labels, series.annotations, 0.0, "", series.generator_url)
            alert = identified(alert, ignored)
            # replicas that tell of one alert are one here
            self._alerts.setdefault(alert.fingerprint, alert)
            self._periods.setdefault(alert.fingerprint, []).extend(series.periods)
            self._standing[alert.fingerprint] = _Standing()
        for fingerprint, periods in self._periods.items():
            self._periods[fingerprint] = joined(periods)
        self._moments = {
            fingerprint: sorted({at for each in periods for at in (each.begin, each.end) if at is not None})
            for fingerprint, periods in self._periods.items()
        }

    def turns(self) -> Iterator[Turn]:
        """Yield every recorded beginning and end in order; at the same time what ends goes first."""
        found = [
            turn
            for fingerprint, periods in self._periods.items()
            for each in periods
            for turn in (Turn(each.begin, True, fingerprint), *_end(each, fingerprint))
        ]
        yield from sorted(found, key=lambda turn: (turn.at, turn.on, turn.fingerprint))

    def alert(self, fingerprint: str, status: str, starts_at: float) -> Alert:
        """Return the alert as it would be delivered."""
        alert = self._alerts[fingerprint]
        return Alert(status, alert.labels, alert.annotations, starts_at, fingerprint, alert.generator_url)

    def fingerprint_of(self, labels: Mapping[str, str]) -> str:
        """Return what an alert with these labels is known by."""
        key = frozenset(labels.items())
        if key not in self._known_by:
            self._known_by[key] = identified(Alert("firing", labels, {}, 0.0, ""), self._ignored).fingerprint
        return self._known_by[key]

    def begin(self, fingerprint: str, now: float) -> None:
        """It goes on."""
        self._standing[fingerprint] = _Standing(True, now)

    def end(self, fingerprint: str, now: float) -> None:
        """It goes off."""
        self._standing[fingerprint] = _Standing(False, now)

    def on_since(self, fingerprint: str) -> float | None:
        """Return since when it is on, or None if it is not."""
        found = self._standing.get(fingerprint)
        return found.since if found is not None and found.on else None

    def off_since(self, fingerprint: str) -> float | None:
        """Return since when it is off, or None if it is on."""
        found = self._standing.get(fingerprint, _Standing())
        return None if found.on else found.since

    def next_turn(self, fingerprint: str, now: float) -> float:
        """Return when the recording next tells anything of it after `now`; infinity if never."""
        moments = self._moments.get(fingerprint, [])
        place = bisect_right(moments, now)
        return moments[place] if place < len(moments) else float("inf")


def _end(period: Period, fingerprint: str) -> tuple[Turn, ...]:
    return () if period.end is None else (Turn(period.end, False, fingerprint),)
