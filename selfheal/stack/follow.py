"""Follows what the remediator does through its API, and tells each remediation's moves as events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfheal.common.clock import from_rfc3339
from selfheal.stack.events import Event, RemediationChanged
from selfheal.stack.loopback import ask

_PAGE = "200"


@dataclass(frozen=True, slots=True)
class Seen:
    """One remediation as the API told it last; times in seconds since the epoch."""

    id: str
    playbook: str
    target: str
    state: str
    verdict: str
    reason: str
    alert: str
    fired_at: float
    started_at: float | None
    verified_at: float | None

    @classmethod
    def read(cls, item: dict[str, Any]) -> Seen:
        """Given one item of the API, return it. Raise KeyError or ValueError if it is not what the API promises."""
        return cls(
            id=str(item["id"]),
            playbook=item["playbook"],
            target=item["target"],
            state=item["state"],
            verdict=item["verdict"] or "",
            reason=item["reason"] or "",
            alert=item["alert"]["alertname"],
            fired_at=from_rfc3339(item["alert"]["starts_at"]),
            started_at=_time(item["started_at"]),
            verified_at=_time(item["verified_at"]),
        )


@dataclass(slots=True)
class Follower:
    """Asks the remediator every `every` seconds and remembers what it said."""

    url: str
    token_file: Path
    every: float
    seen: dict[str, Seen] = field(default_factory=dict)
    _next: float = 0.0
    _first: bool = True

    def turn(self, monotonic: float, now: float) -> list[Event]:
        """Ask if it is time; return an event per remediation that is new or moved. The first answer is the past."""
        if monotonic < self._next:
            return []
        self._next = monotonic + self.every
        page = ask(f"{self.url}/api/v1/remediations", {"limit": _PAGE}, self.token_file)
        if page is None:
            return []
        items = [Seen.read(item) for item in page["items"]]
        changed = [] if self._first else [item for item in items if self._moved(item)]
        self._first = False
        self.seen |= {item.id: item for item in items}
        return [_event(item, now, self._touched(item)) for item in reversed(changed)]

    def details(self) -> Iterator[dict[str, Any]]:
        """Ask for every remediation there is, whole."""
        cursor: str | None = ""
        while cursor is not None:
            parameters = {"limit": _PAGE} | ({"cursor": cursor} if cursor else {})
            page = ask(f"{self.url}/api/v1/remediations", parameters, self.token_file)
            if page is None:
                raise Unreachable(f"the remediator at {self.url} does not answer")
            for item in page["items"]:
                whole = ask(f"{self.url}/api/v1/remediations/{item['id']}", None, self.token_file)
                if whole is None:
                    raise Unreachable(f"the remediator at {self.url} does not answer")
                yield whole
            cursor = None if page["next"] is None else str(page["next"])

    def _touched(self, item: Seen) -> tuple[dict[str, Any], ...]:
        if item.state != "verifying":
            return ()
        whole = ask(f"{self.url}/api/v1/remediations/{item.id}", None, self.token_file)
        outcomes = [step["outcome"] or {} for step in whole["steps"]] if whole else []
        return tuple(effect for outcome in outcomes for effect in outcome.get("effects", ()))

    def _moved(self, item: Seen) -> bool:
        before = self.seen.get(item.id)
        return before is None or (before.state, before.verdict) != (item.state, item.verdict)


class Unreachable(Exception):
    """The remediator did not answer when its whole record was asked for."""


def _event(item: Seen, now: float, touched: tuple[dict[str, Any], ...]) -> Event:
    return RemediationChanged(
        remediation=item.id,
        playbook=item.playbook,
        target=item.target,
        alert=item.alert,
        state=item.state,
        verdict=item.verdict,
        reason=item.reason,
        seconds=max(0.0, (item.verified_at or now) - item.fired_at),
        observed=item.state == "observed",
        touched=touched,
    )


def _time(text: str | None) -> float | None:
    return None if text is None else from_rfc3339(text)
