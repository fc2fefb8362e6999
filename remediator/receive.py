"""First stage: every alert of a delivery is stored, with its occurrence and its due work, before the answer is 200."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remediator.model import PASSING, Alert, Occurrence, State
from remediator.parts import Parts
from remediator.store import Tx

DECIDED_AGAIN = frozenset({State.FAILED, State.INEFFECTIVE, State.UNDONE})
"""Ends after which an occurrence that is still open is decided again, while attempts are left."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One delivery, judged alert by alert: a bad one never spoils its neighbours."""

    receiver: str
    alerts: tuple[Alert, ...]
    malformed: tuple[tuple[str, str], ...] = ()
    """(the alert as it came, what is wrong with it)."""
    truncated: int = 0
    version: str = "4"


def receive(parts: Parts, batch: Batch, now: float) -> None:
    """Store `batch` durably: when this returns, kill -9 loses nothing of it. Raise StoreUnavailable if it cannot be."""
    parts.reached("receive")
    parts.store.write(lambda tx: _store(tx, batch, now))
    for alert in batch.alerts:
        parts.counters.count("alerts", status=alert.status)
        if alert.name == "Watchdog" and alert.status == "firing":
            parts.counters.observe("watchdog_last_seen", now)
    for _ in batch.malformed:
        parts.counters.count("alerts", status="malformed")


def _store(tx: Tx, batch: Batch, now: float) -> None:
    count = len(batch.alerts) + len(batch.malformed)
    tx.add_delivery(now, batch.receiver, count, batch.truncated, batch.version)
    for alert in batch.alerts:
        take(tx, alert, now)
    for text, problem in batch.malformed:
        tx.add_malformed(now, text, problem)
    if batch.truncated:
        # the rest of the group is only in Alertmanager; reconciliation fetches it as if delivered
        tx.schedule("reconcile", 0, now)


def take(tx: Tx, alert: Alert, now: float) -> None:
    """Open, refresh or close the occurrence that `alert` speaks of."""
    if alert.status == "resolved":
        tx.close_occurrence(alert.fingerprint, now, "resolved")
        return
    occurrence_id, new = tx.open_occurrence(alert, now)
    if not new:
        occurrence = tx.occurrence(occurrence_id)
        if occurrence is not None and to_be_decided_again(occurrence):
            tx.reconsider(occurrence_id, now)


def to_be_decided_again(occurrence: Occurrence) -> bool:
    """Say whether an open occurrence's last remediation ended in a way that another try may mend."""
    if occurrence.closed_at is not None:
        return False
    return occurrence.fate in DECIDED_AGAIN or (occurrence.fate == State.SKIPPED and occurrence.reason in PASSING)


def open_ones(occurrences: Sequence[Occurrence]) -> dict[str, Occurrence]:
    """Return open occurrences by fingerprint."""
    return {occurrence.alert.fingerprint: occurrence for occurrence in occurrences if occurrence.closed_at is None}
