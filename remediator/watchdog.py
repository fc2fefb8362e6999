"""The dead-man's loop: an alert that always fires must keep arriving, or no other alert would arrive either."""

from __future__ import annotations

from remediator.alarm import Alarmed
from remediator.model import Alert
from remediator.parts import Parts
from selfheal.common.durations import format_duration

SELFTEST = "SelfhealSelftest"
"""The alert of a self-test: that it was delivered, and not found by reconciliation, is part of what is tested."""
MISSED = 3
"""Intervals without a delivery after which people are told."""
LOOK_AGAIN = 4.0
"""Seconds between two looks at most."""


def hear(parts: Parts, alert: Alert, now: float) -> None:
    """Given a delivered alert, note when it came if it is the watchdog, or that of a self-test."""
    if alert.status != "firing" or alert.name not in (parts.config.watchdog.alert, SELFTEST):
        return
    parts.heard[alert.name] = parts.clock.monotonic()
    if alert.name == SELFTEST:
        return
    parts.counters.observe("watchdog_last_seen", now)
    parts.counters.count("watchdog_deliveries")


def look(parts: Parts, now: float) -> float:
    """Tell people when it stays away and when it comes again; return when to look again."""
    watched = parts.config.watchdog
    last = parts.heard.get(watched.alert)
    # before the first delivery the start counts as one: whoever sends it may only be starting too
    silent = parts.clock.monotonic() - (parts.started if last is None else last)
    fields = {"alert": watched.alert, "span": format_duration(round(silent))}
    if silent > MISSED * watched.interval:
        parts.alarm.tell(Alarmed.WATCHDOG, **fields)
    elif last is not None:
        parts.alarm.over(Alarmed.WATCHDOG, **fields)
    return now + min(LOOK_AGAIN, watched.interval / 4)
