"""What the web asks of the program behind it; `app` implements it, tests with a small object."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from remediator.model import Json, Mode, Scope
from remediator.model.trust import Evidence
from remediator.web.access import Access, is_loopback
from remediator.web.payload import Delivery


class Place(Protocol):
    """A place in the history."""

    @property
    def id(self) -> int:
        """The event's id; 0 before the first."""
        ...


class Kept(Protocol):
    """What is known of an earlier request with the same idempotency key."""

    @property
    def digest(self) -> str:
        """Of that request."""
        ...

    @property
    def status(self) -> int | None:
        """Of its answer; None while it is not answered."""
        ...

    @property
    def body(self) -> str:
        """Of its answer."""
        ...


class Reader(Protocol):
    """What is read of the store, as plain values ready for JSON."""

    def list_remediations(self, limit: int, before: int | None, state: str | None = None) -> Json:
        """Return `{"items": [...], "next": cursor or None}`, newest first, with ids below `before`."""
        ...

    def open_remediations(self, limit: int, before: int | None = None, state: str | None = None) -> Json:
        """Return likewise those that are not over, and `count`, how many there are in all."""
        ...

    def remediation_detail(self, id: int) -> Json | None:
        """Return one remediation with decisions, steps, evidence and events, or None."""
        ...

    def list_approvals(self, limit: int, before: int | None = None, state: str | None = None) -> Json:
        """Return requests to people as `Service.approvals` does, without links."""
        ...

    def approval_detail(self, id: int) -> Json | None:
        """Return one request with everything a person must see to answer it, or None."""
        ...

    def list_alerts(self, limit: int, before: int | None) -> Json:
        """Return `{"items": [...], "next": cursor or None}`, newest first."""
        ...

    def open_alerts(self, limit: int, before: int | None = None, *, heartbeats: bool = False) -> Json:
        """Return likewise those that are on, heartbeats only if asked for, and `count`, how many there are in all."""
        ...

    def proposals(self) -> list[tuple[str, Mode, Evidence]]:
        """Return (playbook, rung, what it earned there) where a promotion is proposed."""
        ...

    def audit_head(self) -> Place:
        """Return the place of the last event."""
        ...

    def audit_entries(self, after: int, limit: int) -> Json:
        """Return `{"items": [...], "next": cursor or None}`: events with ids above `after`, the oldest first."""
        ...

    def audit_piece(self, after: int | None, limit: int) -> tuple[list[str], int]:
        """Return up to `limit` lines of an export after an id (None: from the beginning), and the last one's id."""
        ...


class Service(Protocol):
    """The program behind the web."""

    def receive(self, delivery: Delivery) -> None:
        """Store a delivery durably. Raise StoreUnavailable if that is not possible now."""
        ...

    def reader(self) -> AbstractContextManager[Reader]:
        """Return a snapshot of the store. Raise StoreUnavailable if it cannot be read."""
        ...

    def status(self) -> Json:
        """Return what `GET /api/v1/status` says."""
        ...

    def settle(self, id: int, how: str, who: str) -> None:
        """Record that a person says `done`, `not-done` or `give-up`. Raise RemediatorError if it is not unknown."""
        ...

    def approvals(self, limit: int = 50, before: int | None = None, state: str | None = None) -> Json:
        """Return `{"items": [...], "next": cursor or None}`: requests to people, newest first, in `state` if given.

        Each has `link`, the way to its page, where `approval.url` is configured; else None.
        """
        ...

    def approve(self, id: int, plan_hash: str, who: str, how: str = "api") -> Json:
        """Record that a person says yes to exactly this plan; return the request.

        Raise RemediatorError if it was answered before, is over, or is about another plan.
        """
        ...

    def refuse(self, id: int, plan_hash: str, who: str, why: str, how: str = "api") -> Json:
        """Record that a person says no; return the request. Raise RemediatorError as `approve` does."""
        ...

    def linked(self, token: str) -> Json | None:
        """Given the token of a link, return the request it was signed for as it stands now, or None if we did not."""
        ...

    def run_playbook(self, name: str, labels: Mapping[str, str], who: str, dry_run: bool) -> Json:
        """Run a playbook because a person asks for it, or, with `dry_run`, only tell what would be done and why not.

        Return `{"remediation": ...}` as it begins, or `{"dry_run": {"playbook", "target", "mode", "labels", "answer",
        "reason", "answers", "steps", "plan"}}`. Raise RemediatorError if there is no such playbook or it cannot be run.
        """
        ...

    def pause(self, scope: Scope, who: str, why: str, until: float | None, hard: bool) -> Json:
        """Pause `scope` until a time in seconds since the epoch, or without an end (None); return what is paused now.

        That is `{"paused": the pause of everything or None, "pauses": [all, each with playbook, target and file]}`.
        Raise RemediatorError if the scope names nothing that can be paused, or it cannot be written.
        """
        ...

    def resume(self, scope: Scope, who: str) -> Json:
        """End the pause of exactly this scope; return what is paused still, and `was_paused`. Raise as `pause` does."""
        ...

    def audit_entries(self, after: int, limit: int) -> Json:
        """Return `{"items": [...], "next": cursor or None}`: chained events with ids above `after`, oldest first."""
        ...

    def audit_verify(self) -> Json:
        """Follow the whole chain and return `ok`, `problem`, `first_bad`, `head` and counts."""
        ...

    def cancel(self, id: int, who: str) -> None:
        """Call a remediation off at its next safe point. Raise RemediatorError if it is over."""
        ...

    def playbooks(self) -> list[Json]:
        """Return the playbooks in force, by name, each as written with the mode it is in."""
        ...

    def breakers(self) -> list[Json]:
        """Return every circuit breaker that ever moved."""
        ...

    def reset_breaker(self, name: str, who: str, why: str) -> None:
        """Close a breaker because a person says so. Raise RemediatorError if it is closed."""
        ...

    def trust(self) -> list[Json]:
        """Return what each playbook has earned, by name: mode, numbers, what is missing, shadow decisions."""
        ...

    def promote(self, name: str, who: str, why: str) -> None:
        """Let a playbook climb one rung because a person says so. Raise RemediatorError if it has not earned it."""
        ...

    def demote(self, name: str, who: str, why: str) -> None:
        """Take one rung from a playbook because a person says so. Raise RemediatorError if it has none."""
        ...

    def policy_view(self) -> Json:
        """Return what this host permits, by name and without secrets."""
        ...

    def host_metrics(self) -> Json:
        """Return the host's gauges of the moment, a few seconds old at most. Raise SourceUnavailable."""
        ...

    def stop_monitoring(self, who: str, why: str, until: float | None) -> None:
        """Store alerts only, until a time in seconds since the epoch or without an end (None)."""
        ...

    def start_monitoring(self, who: str) -> None:
        """Ask and act again, also about what was only stored and is still on."""
        ...

    def claim_answer(self, who: str, key: str, digest: str) -> Kept | None:
        """Claim an idempotency key and return None, or return what is known of the request that claimed it."""
        ...

    def keep_answer(self, who: str, key: str, status: int, body: str) -> None:
        """Keep the answer of the request that claimed the key."""
        ...

    def forget_answer(self, who: str, key: str) -> None:
        """Nothing came of the request that claimed the key: it may be sent again."""
        ...

    def problems(self) -> list[str]:
        """Return what keeps the program from being ready, in English; empty when it is."""
        ...


__all__ = ["Access", "Kept", "Reader", "Service", "is_loopback"]
