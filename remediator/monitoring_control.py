"""Stops and starts of monitoring: while it is stopped alerts are stored with that fate, and nothing is asked or done.

What has begun an effect is brought to its end all the same: half a repair helps nobody.
"""

from __future__ import annotations

from remediator.model import Json, Reason, Remediation, State
from remediator.parts import Parts
from remediator.store import Tx
from remediator.store.monitoring_stop import Stop
from selfheal.common.clock import to_rfc3339

FATE = "monitoring_stopped"
NOT_BEGUN = frozenset({State.PENDING, State.HELD})


def stop(parts: Parts, who: str, why: str, until: float | None) -> None:
    """Stop monitoring until a time, or without an end, in the place of an earlier stop; it is recorded who did."""

    def store(tx: Tx) -> None:
        now = parts.clock.now()
        tx.stop_monitoring(Stop(who, why, now, until))
        told = {"why": why, "until": None if until is None else to_rfc3339(until)}
        tx.record_act("monitoring_stopped", who, now, detail=told)

    parts.store.write(store)


def start(parts: Parts, who: str) -> None:
    """Monitor again; what is still on of what was only stored is looked at now. It is recorded who did."""

    def store(tx: Tx) -> None:
        now = parts.clock.now()
        if tx.start_monitoring():
            tx.record_act("monitoring_started", who, now)
            tx.schedule("reconcile", 0, now)

    parts.store.write(store)


def told(parts: Parts) -> Json | None:
    """Return the stop in force as the API shows it, or None."""
    with parts.store.read() as reader:
        found = reader.monitoring_stopped(parts.clock.now())
    if found is None:
        return None
    until = None if found.until is None else to_rfc3339(found.until)
    return {"who": found.who, "why": found.why, "since": to_rfc3339(found.since), "until": until}


def is_stopped(parts: Parts) -> bool:
    """Say whether monitoring is stopped now."""
    with parts.store.read() as reader:
        return reader.monitoring_stopped(parts.clock.now()) is not None


def put_aside(parts: Parts, remediation: Remediation) -> bool:
    """Skip a remediation that has begun nothing while monitoring is stopped; say whether that was so."""
    if remediation.state not in NOT_BEGUN:
        return False

    def store(tx: Tx) -> bool:
        now = parts.clock.now()
        present = tx.remediation(remediation.id)
        if present is None or present.state not in NOT_BEGUN or tx.monitoring_stopped(now) is None:
            return False
        tx.move(remediation.id, State.SKIPPED, Reason.MONITORING_STOPPED, now)
        return True

    return parts.store.write(store)


def leave_stored(parts: Parts, occurrence_id: int) -> None:
    """Give an occurrence that waits for its decision the fate of those that came while monitoring was stopped."""
    parts.store.write(lambda tx: tx.set_fate(occurrence_id, FATE, Reason.MONITORING_STOPPED))
