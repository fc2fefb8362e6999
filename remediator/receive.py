"""First stage: every alert of a delivery is stored, with its occurrence and its due work, before the answer is 200."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from remediator.model import PASSING, Alert, Occurrence, Reason, State, Step
from remediator.parts import Parts
from remediator.playbooks.match import choose
from remediator.store import Tx

DECIDED_AGAIN = frozenset({State.FAILED, State.INEFFECTIVE, State.UNDONE})
"""Ends after which an occurrence that is still open is decided again, while attempts are left."""
MENDED_BY_FREEZING = frozenset({Reason.ACTION_CHANGED})
"""Reasons of a skip that a remediation made anew does not meet again."""
FINAL = frozenset({State.OBSERVED.value, "no_playbook"})
"""Fates that only another playbook, or another mode, can change."""
FINAL_REASONS = frozenset(
    {
        Reason.APPROVAL_MISSING,
        Reason.GUARD_FAILED,
        Reason.LABELS_DIFFER,
        Reason.NOT_OUR_HOST,
        Reason.POLICY,
        Reason.RULE_AMBIGUOUS,
        Reason.RULE_REFUSED,
        Reason.RULE_UNKNOWN,
        Reason.STEP_FAILED,
        Reason.TEMPLATE_REFUSED,
        Reason.UNKNOWN_TO_PROMETHEUS,
    }
)
"""Reasons of a skip that stand until playbooks and policy are read again."""
SAME_PERIOD = 1.0
"""Seconds by which two tellings of one period may put its start differently."""
REPEATS = 3_600.0
"""Seconds for which a malformed alert that comes again is not stored again: its group is sent with every change."""
REMEMBERED = 1_000
"""Malformed alerts that are remembered; beyond that all are forgotten, which only means storing one again."""


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
    new = tuple(pair for pair in batch.malformed if not _stored_lately(parts, pair))
    parts.record(_steps(parts, batch), lambda tx: _store(tx, replace(batch, malformed=new), now))
    for pair in new:
        _remember(parts, pair)
    for alert in batch.alerts:
        parts.counters.count("alerts", status=alert.status)
        if alert.name == "Watchdog" and alert.status == "firing":
            parts.counters.observe("watchdog_last_seen", now)
    for _ in batch.malformed:
        parts.counters.count("alerts", status="malformed")


def _steps(parts: Parts, batch: Batch) -> Iterator[Step]:
    """Yield what the playbooks would do about a batch: the alert of a full disk must be storable on it."""
    for alert in batch.alerts:
        playbook = choose(parts.playbooks(), alert)
        if playbook is not None:
            yield from playbook.steps


def _stored_lately(parts: Parts, pair: tuple[str, str]) -> bool:
    at = parts.malformed.get(hash(pair))
    return at is not None and parts.clock.monotonic() - at < REPEATS


def _remember(parts: Parts, pair: tuple[str, str]) -> None:
    if len(parts.malformed) >= REMEMBERED:
        parts.malformed.clear()
    parts.malformed[hash(pair)] = parts.clock.monotonic()


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
    occurrence = None if new else tx.occurrence(occurrence_id)
    if occurrence is None:
        return
    if is_later_period(occurrence, alert):
        # Alertmanager swallows a resolve that a new firing follows at once: the start is all that tells
        tx.close_occurrence(alert.fingerprint, now, "fired anew")
        tx.open_occurrence(alert, now)
    elif to_be_decided_again(occurrence):
        tx.reconsider(occurrence_id, now)


def is_later_period(occurrence: Occurrence, alert: Alert) -> bool:
    """Say whether `alert` began again after the open occurrence of its fingerprint was told of."""
    return alert.starts_at > max(occurrence.alert.starts_at + SAME_PERIOD, occurrence.received_at)


def to_be_decided_again(occurrence: Occurrence) -> bool:
    """Say whether an open occurrence's last remediation ended in a way that another try may mend."""
    if occurrence.closed_at is not None:
        return False
    if occurrence.fate == State.SKIPPED:
        return occurrence.reason in PASSING | MENDED_BY_FREEZING
    return occurrence.fate in DECIDED_AGAIN


def final_until_reload(occurrence: Occurrence) -> bool:
    """Say whether an open occurrence stays as decided only until playbooks and policy are read again."""
    if occurrence.closed_at is not None:
        return False
    return occurrence.fate in FINAL or (occurrence.fate == State.SKIPPED and occurrence.reason in FINAL_REASONS)
