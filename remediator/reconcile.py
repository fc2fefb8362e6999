"""Every half minute: what Alertmanager and Prometheus say now against what is open here, for deliveries can be lost."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial

from remediator import monitoring_control
from remediator.errors import SourceUnavailable, StoreUnavailable
from remediator.evidence import FrozenRule, Trouble
from remediator.model import Alert, Occurrence, Reason, State, identified
from remediator.parts import PAGE, Parts, open_pages, still_suppressed
from remediator.receive import (
    TRIES_THAT_COUNT,
    final_until_reload,
    is_later_period,
    rest_after,
    since_the_first,
    take,
    to_be_decided_again,
)
from remediator.store import Tx

logger = logging.getLogger(__name__)

GRACE = 10.0
"""Seconds an occurrence must be open before its absence in Alertmanager means anything."""
UNHEARD = 86_400.0
"""Seconds after which an alert from elsewhere that was not sent again is over: whoever repeats does so more often."""


def reconcile(parts: Parts, now: float) -> float:
    """Close what ended unheard, take in what was never delivered, decide again what may be mended."""
    due = now + parts.config.reconcile
    if monitoring_control.is_stopped(parts):
        return due
    if parts.reloaded.is_set():
        _decide_anew(parts, now)
    try:
        found = parts.evidence.alertmanager_alerts(parts.config.receiver)
    except SourceUnavailable:
        # counted where it was asked
        return due
    known = since_the_first(identified(one, parts.config.ignore_labels) for one in found)
    active = {alert.fingerprint: alert for alert in known}
    counts: Counter[str] = Counter()
    for page in open_pages(parts):
        counts += _compare(parts, page, active, now)
    # what is left in `active` has no open occurrence here
    left = list(active.values())
    for start in range(0, len(left), PAGE):
        counts["taken_in"] += _take_in(parts, left[start : start + PAGE], now)
    if counts.total():
        logger.info("reconciled", extra=dict(counts))
    return due


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
            again += [occurrence.id] if _may_be_mended(parts, occurrence, now) else []

    def store(tx: Tx) -> None:
        for occurrence in ended:
            present = tx.occurrence(occurrence.id)
            unheard = (None, occurrence.last_seen_at)
            if present is not None and (present.closed_at, present.last_seen_at) == unheard:
                # otherwise it was delivered again while we asked, or it ended and another period may be open by now
                tx.close_occurrence(occurrence.alert.fingerprint, now, "reconciled")
        for number in again:
            tx.reconsider(number, now)

    if ended or again:
        parts.store.write(store)
    return Counter(closed=len(ended), decided_again=len(again))


def _may_be_mended(parts: Parts, occurrence: Occurrence, now: float) -> bool:
    """Say whether an alert that is active is to be decided again now."""
    if not to_be_decided_again(occurrence) or not _has_rested(parts, occurrence, now):
        return False
    # active for one Alertmanager it may still be silenced at another
    return not still_suppressed(parts, occurrence)


def _has_rested(parts: Parts, occurrence: Occurrence, now: float) -> bool:
    """Say whether it is time to try again what was skipped; all else does not wait."""
    if occurrence.fate != State.SKIPPED:
        return True
    with parts.store.read() as reader:
        newest = reader.newest_tries(occurrence.id, TRIES_THAT_COUNT)
    # a clock that was set back is no reason to wait for the time it showed before
    return not newest or not 0 <= now - parts.jumps.moved(newest[0].created_at) < rest_after(newest)


def _take_in(parts: Parts, alerts: list[Alert], asked: float) -> int:
    """Take in what Alertmanager told when it was `asked`; return how many alerts that were."""

    def store(tx: Tx) -> int:
        # an end that was told since is news that the answer does not have
        news = [alert for alert in alerts if not tx.closed_since(alert.fingerprint, asked)]
        for alert in news:
            take(tx, alert, asked)
        return len(news)

    return parts.store.write(store)


def _decide_anew(parts: Parts, now: float) -> None:
    """Playbooks and policy were read again: what they had decided for good, or what rests, is decided again."""
    # cleared first: another reload meanwhile must not be lost
    parts.reloaded.clear()
    try:
        for page in open_pages(parts):
            numbers = [each.id for each in page if final_until_reload(each) or to_be_decided_again(each)]
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
    if occurrence.reason is Reason.NEEDS_DECLARED_PROOF:
        # whoever sent it is not ours to ask: only a long silence tells that its resolve was lost
        return now - occurrence.last_seen_at >= UNHEARD
    rule = _question(parts, occurrence)
    if isinstance(rule, Trouble):
        # a rule that is gone cannot fire any more; a Prometheus that does not answer proves nothing
        return rule.reason is not Reason.BLIND
    return parts.evidence.active(rule, occurrence.alert.labels, now - 1.0) is False


def _question(parts: Parts, occurrence: Occurrence) -> FrozenRule | Trouble:
    """Return what tells whether the occurrence goes on: its rule, or what its playbook declares in place of one."""
    alert = occurrence.alert
    if occurrence.remediation_id is not None:
        with parts.store.read() as reader:
            remediation = reader.remediation(occurrence.remediation_id)
        if remediation is not None and remediation.frozen.when is not None:
            return parts.evidence.question(remediation.frozen)
    return parts.evidence.rule_for(alert.name, alert.labels, alert.generator_url)
