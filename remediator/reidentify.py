"""At start: what is open is known by the labels that count now, whatever counted for the program that stored it.

Otherwise an alert that is sent again after an upgrade, or after `ignore_labels` changed, would be another one to us and
be healed a second time, and its resolve would end nothing.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

from remediator.model import LOCKED, Occurrence, identified
from remediator.parts import Parts, open_pages
from remediator.store import Tx

logger = logging.getLogger(__name__)

SAME = "same alert"
"""How an occurrence ended that turned out to be another one's."""


def reidentify(parts: Parts) -> int:
    """Give every open occurrence its present fingerprint, and end all but one of those that are one alert.

    Return how many were changed. Raise StoreUnavailable.
    """
    changed = 0
    for page in open_pages(parts):
        other = [found for each in page if (found := _identified(parts, each)) != each]
        if other:
            parts.store.write(partial(_store, other, parts.clock.now()))
            changed += len(other)
    if changed:
        logger.info("open alerts are known by other labels now", extra={"alerts": changed})
    return changed


def _identified(parts: Parts, occurrence: Occurrence) -> Occurrence:
    return replace(occurrence, alert=identified(occurrence.alert, parts.config.ignore_labels))


def _store(occurrences: list[Occurrence], now: float, tx: Tx) -> None:
    for occurrence in occurrences:
        fingerprint = occurrence.alert.fingerprint
        present, other = tx.occurrence(occurrence.id), tx.open_occurrence_of(fingerprint)
        if present is None or present.closed_at is not None:
            continue
        if other is not None and _acts(tx, present) and not _acts(tx, other):
            tx.close_occurrence(fingerprint, now, SAME)
            other = None
        if other is not None:
            tx.close_occurrence(present.alert.fingerprint, now, SAME)
        else:
            tx.set_fingerprint(present.id, fingerprint)


def _acts(tx: Tx, occurrence: Occurrence) -> bool:
    """Say whether something is being done about it: then it is the one that goes on."""
    if occurrence.remediation_id is None:
        return False
    remediation = tx.remediation(occurrence.remediation_id)
    return remediation is not None and remediation.state in LOCKED
