"""How the remediator's own work stands: what has been under way for long, and whether what it does still helps."""

from __future__ import annotations

from collections.abc import Mapping

from remediator.store import Mark, Store
from selfheal.common.clock import Clock

MARKS_SHOWN = 3_600.0
"""Seconds for which a playbook's mark is a series: a dashboard finds it in the history afterwards."""
MOST = 1_000
"""Failures counted at most: a scrape must not walk through years of them."""


def under_way(store: Store, clock: Clock) -> Mapping[str, float]:
    """Return, by state that holds a lock, for how many seconds its oldest remediation has been under way."""
    with store.read() as reader:
        oldest = reader.oldest_under_way()
    return {state: max(0.0, clock.now() - since) for state, since in oldest.items()}


def last_verified(store: Store) -> float:
    """Return when something was last proven healed; 0 if never."""
    with store.read() as reader:
        return reader.last_verified()


def failed_since(store: Store) -> float:
    """Return how many remediations ended failed or ineffective since something was last proven healed."""
    with store.read() as reader:
        return float(reader.failed_since(reader.last_verified(), MOST))


def marks(store: Store, clock: Clock) -> list[Mark]:
    """Return what playbooks marked lately."""
    with store.read() as reader:
        return reader.marks(clock.now() - MARKS_SHOWN)
