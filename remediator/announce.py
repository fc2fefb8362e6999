"""Fifth stage: what happened is told. Events are read in order by a cursor per channel, so none is told out of turn."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from remediator.model import ENDS, BreakerState, Event, Remediation, State
from remediator.parts import Parts
from remediator.store import Tx

logger = logging.getLogger(__name__)

CHANNEL = "log"
BATCH = 500
Teller = Callable[[Event, Remediation | None], None]


def announce(parts: Parts, tellers: Sequence[Teller], now: float) -> float | None:
    """Tell up to a batch of events to every teller and count them; return when to look again."""
    with parts.store.read() as reader:
        events = reader.events_after(reader.cursor(CHANNEL), BATCH)
        if not events:
            return now + 0.5
        wanted = {event.remediation_id for event in events if event.remediation_id is not None}
        remediations = {number: reader.remediation(number) for number in wanted}
    for event in events:
        remediation = remediations.get(event.remediation_id) if event.remediation_id is not None else None
        _count(parts, event, remediation)
        for tell in tellers:
            _tell(parts, tell, event, remediation)
    last = events[-1].id
    parts.store.write(lambda tx: _remember(tx, last))
    return now if len(events) == BATCH else now + 0.5


def _tell(parts: Parts, tell: Teller, event: Event, remediation: Remediation | None) -> None:
    try:
        tell(event, remediation)
    except Exception:
        # the border to the notifiers: one that breaks on an event must not keep all later ones back
        logger.exception("event not told", extra={"event": event.id})
        parts.counters.count("stage_errors", stage="announce")


def _remember(tx: Tx, last: int) -> None:
    tx.set_cursor(CHANNEL, last)


def _count(parts: Parts, event: Event, remediation: Remediation | None) -> None:
    if event.kind == "breaker":
        is_open = float(event.new != BreakerState.CLOSED)
        parts.counters.observe("breaker_open", is_open, playbook=str(event.detail["breaker"]))
    if event.kind == "demoted":
        parts.counters.count("trust_demotions", playbook=str(event.detail["playbook"]))
    # a fate that a remediation's end gives is counted as that end already
    if event.reason is not None and (event.kind == "moved" or (event.kind == "fate" and event.remediation_id is None)):
        parts.counters.count("decisions", reason=event.reason.value)
    if event.kind != "moved" or remediation is None or event.new is None:
        return
    state = State(event.new)
    playbook = remediation.frozen.playbook
    if state in ENDS:
        parts.counters.count("remediations_ended", playbook=playbook, state=state.value)
        if remediation.verdict is not None:
            verdict = remediation.verdict.value
            parts.counters.count("verdicts", playbook=playbook, verdict=verdict)
            parts.counters.observe("last_remediation", event.at, playbook=playbook, verdict=verdict)
