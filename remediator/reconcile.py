"""Every half minute: what Alertmanager and Prometheus say now against what is open here, for deliveries can be lost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from functools import partial

from remediator.errors import SourceUnavailable, StoreUnavailable
from remediator.evidence import Trouble
from remediator.model import Alert, Occurrence
from remediator.parts import Parts
from remediator.receive import final_until_reload, is_later_period, take, to_be_decided_again
from remediator.store import Tx

logger = logging.getLogger(__name__)

PAGE = 200
"""Occurrences looked at, and written, at once."""
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
    counts: Counter[str] = Counter()
    for page in _open_pages(parts):
        counts += _compare(parts, page, active, now)
    # what is left in `active` has no open occurrence here
    left = list(active.values())
    for start in range(0, len(left), PAGE):
        _take_in(parts, left[start : start + PAGE], now)
    counts["taken_in"] += len(left)
    if counts.total():
        logger.info("reconciled", extra=dict(counts))
    return due


def _open_pages(parts: Parts) -> Iterator[list[Occurrence]]:
    """Yield the open occurrences page by page: a storm's thousands are neither held nor written at once."""
    after = 0
    while True:
        with parts.store.read() as reader:
            page = reader.open_occurrences(after, PAGE)
        if not page:
            return
        after = page[-1].id
        yield page


def _compare(parts: Parts, page: list[Occurrence], active: dict[str, Alert], now: float) -> Counter[str]:
    """Mend one page of open occurrences, taking its alerts out of `active` unless they began anew."""
    ended: list[Occurrence] = []
    again: list[int] = []
    for occurrence in page:
        alert = active.get(occurrence.alert.fingerprint)
        if alert is None:
            ended += [occurrence] if _ended(parts, occurrence, now) else []
        elif not is_later_period(occurrence, alert):
            del active[occurrence.alert.fingerprint]
            again += [occurrence.id] if to_be_decided_again(occurrence) else []

    def store(tx: Tx) -> None:
        for occurrence in ended:
            present = tx.occurrence(occurrence.id)
            if present is not None and present.last_seen_at == occurrence.last_seen_at:
                # otherwise it was delivered again while we asked
                tx.close_occurrence(occurrence.alert.fingerprint, now, "reconciled")
        for number in again:
            tx.reconsider(number, now)

    if ended or again:
        parts.store.write(store)
    return Counter(closed=len(ended), decided_again=len(again))


def _take_in(parts: Parts, alerts: list[Alert], now: float) -> None:
    def store(tx: Tx) -> None:
        for alert in alerts:
            take(tx, alert, now)

    parts.store.write(store)


def _decide_anew(parts: Parts, now: float) -> None:
    """Playbooks and policy were read again: what they had decided for good is decided again."""
    # cleared first: another reload meanwhile must not be lost
    parts.reloaded.clear()
    try:
        for page in _open_pages(parts):
            numbers = [occurrence.id for occurrence in page if final_until_reload(occurrence)]
            parts.store.write(partial(_reconsider, numbers, now))
    except StoreUnavailable:
        parts.reloaded.set()
        raise


def _reconsider(numbers: list[int], now: float, tx: Tx) -> None:
    for number in numbers:
        tx.reconsider(number, now)


def _ended(parts: Parts, occurrence: Occurrence, now: float) -> bool:
    """Say whether an open occurrence that Alertmanager no longer lists is over for Prometheus too."""
    if now - occurrence.last_seen_at < GRACE:
        return False
    alert = occurrence.alert
    rule = parts.evidence.rule_for(alert.name, alert.labels, alert.generator_url)
    if isinstance(rule, Trouble):
        # a rule that is gone cannot fire any more; a Prometheus that does not answer proves nothing
        return rule.reason.value != "blind"
    return parts.evidence.active(rule, alert.labels, now - 1.0) is False
