"""Every half minute: what Alertmanager and Prometheus say now against what is open here, for deliveries can be lost."""

from __future__ import annotations

import logging

from remediator.errors import SourceUnavailable, StoreUnavailable
from remediator.evidence import Trouble
from remediator.model import Occurrence
from remediator.parts import Parts
from remediator.receive import final_until_reload, is_later_period, open_ones, take, to_be_decided_again
from remediator.store import Tx

logger = logging.getLogger(__name__)

GRACE = 10.0
"""Seconds an occurrence must be open before its absence in Alertmanager means anything."""


def reconcile(parts: Parts, now: float) -> float:
    """Close what ended unheard, take in what was never delivered, decide again what may be mended."""
    due = now + parts.config.reconcile
    if parts.reloaded.is_set():
        _decide_anew(parts, now)
    try:
        active = {alert.fingerprint: alert for alert in parts.evidence.alertmanager_alerts(parts.config.receiver)}
    except SourceUnavailable:
        # counted where it was asked
        return due
    with parts.store.read() as reader:
        open_here = open_ones(reader.open_occurrences())
    missing = [
        alert
        for fingerprint, alert in active.items()
        if fingerprint not in open_here or is_later_period(open_here[fingerprint], alert)
    ]
    absent = [open_here[fingerprint] for fingerprint in open_here.keys() - active.keys()]
    ended = [occurrence for occurrence in absent if _ended(parts, occurrence, now)]
    again = [
        occurrence
        for fingerprint, occurrence in open_here.items()
        if fingerprint in active and to_be_decided_again(occurrence)
    ]

    def store(tx: Tx) -> None:
        for alert in missing:
            take(tx, alert, now)
        for occurrence in ended:
            present = tx.occurrence(occurrence.id)
            if present is not None and present.last_seen_at == occurrence.last_seen_at:
                # otherwise it was delivered again while we asked
                tx.close_occurrence(occurrence.alert.fingerprint, now, "reconciled")
        for occurrence in again:
            tx.reconsider(occurrence.id, now)

    if missing or ended or again:
        logger.info("reconciled", extra={"taken_in": len(missing), "closed": len(ended), "decided_again": len(again)})
        parts.store.write(store)
    return due


def _decide_anew(parts: Parts, now: float) -> None:
    """Playbooks and policy were read again: what they had decided for good is decided again."""
    # cleared first: another reload meanwhile must not be lost
    parts.reloaded.clear()

    def store(tx: Tx) -> None:
        for occurrence in tx.open_occurrences():
            if final_until_reload(occurrence):
                tx.reconsider(occurrence.id, now)

    try:
        parts.store.write(store)
    except StoreUnavailable:
        parts.reloaded.set()
        raise


def _ended(parts: Parts, occurrence: Occurrence, now: float) -> bool:
    """Say whether an open occurrence that Alertmanager no longer lists is over for Prometheus too."""
    if now - occurrence.last_seen_at < GRACE:
        return False
    alert = occurrence.alert
    rule = parts.evidence.rule_for(alert.name, alert.labels, alert.generator_url)
    if isinstance(rule, Trouble):
        # a rule that is gone cannot fire any more; a Prometheus that does not answer proves nothing
        return rule.reason.value != "blind"
    return parts.evidence.live(rule, alert.labels, alert.fingerprint, now - 1.0).active is False
