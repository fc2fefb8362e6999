"""First stage: every alert of a delivery is stored, with its occurrence and its due work, before the answer is 200."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from remediator import monitoring_control, watchdog
from remediator.model import PASSING, Alert, Occurrence, Reason, State, Step, Try, identified
from remediator.parts import Parts
from remediator.playbooks.match import choose
from remediator.store import Tx

DECIDED_AGAIN = frozenset({State.FAILED, State.INEFFECTIVE, State.UNDONE})
"""Ends after which an occurrence that is still open is decided again, while attempts are left."""
MENDED_BY_FREEZING = frozenset({Reason.ACTION_CHANGED, Reason.PLAYBOOK_CHANGED})
"""Reasons of a skip that a remediation made anew does not meet again."""
FINAL = frozenset({State.OBSERVED.value, "no_playbook", "needs_declared_proof"})
"""Fates that only another playbook, or another mode, can change."""
FINAL_REASONS = frozenset(
    {
        Reason.APPROVAL_MISSING,
        Reason.GUARD_FAILED,
        Reason.LABELS_DIFFER,
        Reason.NEEDS_DECLARED_PROOF,
        Reason.NOT_OUR_HOST,
        Reason.POLICY,
        Reason.ROOT_CAUSE,
        Reason.RULE_AMBIGUOUS,
        Reason.RULE_REFUSED,
        Reason.RULE_UNKNOWN,
        Reason.STEP_FAILED,
        Reason.TEMPLATE_REFUSED,
    }
)
"""Reasons of a skip that stand until playbooks and policy are read again."""
FIRST_REST = 30.0
"""Seconds between two tries that were skipped for the same reason twice; each further one doubles them."""
LONGEST_REST = 900.0
"""Seconds that such a rest takes at most."""
TRIES_THAT_COUNT = 7
"""Skips in a row that bring the longest rest."""
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
    ignored = parts.config.ignore_labels
    batch = replace(batch, alerts=tuple(identified(alert, ignored) for alert in batch.alerts))
    new = tuple(pair for pair in batch.malformed if not _stored_lately(parts, pair))
    parts.record(_steps(parts, batch), lambda tx: _store(tx, replace(batch, malformed=new), now))
    for pair in new:
        _remember(parts, pair)
    for alert in batch.alerts:
        parts.counters.count("alerts", status=alert.status)
        watchdog.hear(parts, alert, now)
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
    # of two replicas that tell of one alert, the one for which it still fires is believed
    firing = since_the_first(alert for alert in batch.alerts if alert.status == "firing")
    told = {alert.fingerprint for alert in firing}
    stopped = tx.monitoring_stopped(now) is not None
    for alert in (*firing, *(each for each in batch.alerts if each.fingerprint not in told)):
        take(tx, alert, now, stopped)
    for text, problem in batch.malformed:
        tx.add_malformed(now, text, problem)
    if batch.truncated:
        # the rest of the group is only in Alertmanager; reconciliation fetches it as if delivered
        tx.schedule("reconcile", 0, now)


def since_the_first(firing: Iterable[Alert]) -> list[Alert]:
    """Given alerts that fire, return them with the start that the first replica tells of each.

    A replica that missed one scrape begins anew; as long as the other's alert goes on, so does the period.
    """
    alerts = list(firing)
    first: dict[str, float] = {}
    for alert in alerts:
        first[alert.fingerprint] = min(alert.starts_at, first.get(alert.fingerprint, alert.starts_at))
    return [replace(alert, starts_at=first[alert.fingerprint]) for alert in alerts]


def take(tx: Tx, alert: Alert, now: float, stopped: bool = False) -> None:
    """Open, refresh or close the occurrence that `alert` speaks of; while monitoring is stopped nothing comes of it."""
    if alert.status == "resolved":
        ended = tx.open_occurrence_of(alert.fingerprint)
        if ended is not None and not is_earlier_period(ended, alert):
            tx.close_occurrence(alert.fingerprint, now, "resolved")
        return
    number, new = tx.open_occurrence(alert, now)
    occurrence = None if new else tx.occurrence(number)
    if occurrence is not None and is_later_period(occurrence, alert):
        # Alertmanager swallows a resolve that a new firing follows at once: the start is all that tells
        tx.close_occurrence(alert.fingerprint, now, "fired anew")
        (number, new), occurrence = tx.open_occurrence(alert, now), None
    if new and stopped:
        tx.set_fate(number, monitoring_control.FATE, Reason.MONITORING_STOPPED)
    elif not stopped and occurrence is not None and to_be_decided_again(occurrence):
        tx.reconsider(number, now)


def is_later_period(occurrence: Occurrence, alert: Alert) -> bool:
    """Say whether `alert` began again after the open occurrence of its fingerprint was told of.

    When it began for another replica says nothing: each begins to count for itself.
    """
    if alert.labels != occurrence.alert.labels:
        return False
    return alert.starts_at > max(occurrence.alert.starts_at + SAME_PERIOD, occurrence.received_at)


def is_earlier_period(occurrence: Occurrence, alert: Alert) -> bool:
    """Say whether a resolved `alert` tells the end of a period before that of the open occurrence of its fingerprint.

    Told late, it must not close what began since, which would be healed a second time. A replica may have begun
    earlier than was stored, so its end tells; without one it is not believed, for reconciliation asks by itself.
    """
    began = occurrence.alert.starts_at
    if alert.starts_at >= began - SAME_PERIOD:
        return False
    return alert.ends_at is None or alert.ends_at < began


def to_be_decided_again(occurrence: Occurrence) -> bool:
    """Say whether an open occurrence's last remediation ended in a way that another try may mend."""
    if occurrence.closed_at is not None:
        return False
    if occurrence.fate == State.SKIPPED:
        return occurrence.reason in PASSING | MENDED_BY_FREEZING
    return occurrence.fate in DECIDED_AGAIN or occurrence.fate == monitoring_control.FATE


def rest_after(newest: Sequence[Try]) -> float:
    """Given what was tried last for an open occurrence, the newest first, return the seconds from try to try.

    Only what looks again unasked takes that rest: whatever is skipped for the same reason over and over would be stored
    each time, as long as the alert is on. What a person had stopped does not rest when the stop is over.
    """
    if not newest or newest[0].reason is Reason.MONITORING_STOPPED:
        return 0.0
    skipped = (State.SKIPPED, newest[0].reason)
    times = len(list(takewhile(lambda each: (each.state, each.reason) == skipped, newest)))
    return 0.0 if times < 2 else min(FIRST_REST * 2.0 ** (times - 2), LONGEST_REST)


def final_until_reload(occurrence: Occurrence) -> bool:
    """Say whether an open occurrence stays as decided only until playbooks and policy are read again."""
    if occurrence.closed_at is not None:
        return False
    return occurrence.fate in FINAL or (occurrence.fate == State.SKIPPED and occurrence.reason in FINAL_REASONS)
