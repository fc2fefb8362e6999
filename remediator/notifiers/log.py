"""Tells every event as one log line: a fixed English message, everything else as fields."""

from __future__ import annotations

import logging

from remediator.model import Event, Remediation

logger = logging.getLogger(__name__)

name = "log"

MESSAGES = {
    "held": "remediation held",
    "running": "remediation started",
    "undoing": "remediation is being undone",
    "verifying": "remediation is being verified",
    "watching": "remediation proven, watching",
    "unknown": "remediation has an unknown outcome",
    "observed": "remediation observed",
    "skipped": "remediation skipped",
    "cancelled": "remediation cancelled",
    "succeeded": "remediation succeeded",
    "ineffective": "remediation did not help",
    "failed": "remediation failed",
    "undone": "remediation undone",
    "pending": "remediation planned",
}
"""What a move into each state is called; a test says that none is missing."""

OTHER = {
    "fate": "alert decided",
    "step": "step recorded",
    "paused": "paused",
    "resumed": "resumed",
    "refused": "effect refused",
    "approval": "approval",
    "manual": "remediation asked for by a person",
    "promotion_proposed": "playbook has earned the next mode: selfheal trust promote confirms it",
    "promotion_withdrawn": "playbook has not earned the next mode any more",
    "promoted": "playbook promoted",
    "demoted": "playbook demoted",
    "trust_restarted": "playbook changed: what it had earned counts no more",
}
HANDED_OVER = "handed_over"
LOUD = frozenset({"unknown", "ineffective", "failed"})
"""States that a person should look at; the moves into them are counted as selfheal_remediations_ended_total."""


def tell(event: Event, remediation: Remediation | None) -> None:
    """Write one line about `event`."""
    new = event.new or ""
    message = MESSAGES.get(new, "remediation moved") if event.kind == "moved" else OTHER.get(event.kind, "event")
    level = logging.WARNING if event.kind == "moved" and new in LOUD else logging.INFO
    if event.kind == "demoted":
        # counted as selfheal_trust_demotions_total
        level = logging.WARNING
    if event.kind == "fate" and new == HANDED_OVER:
        # counted as a decision, like every fate
        message, level = "alert handed over to people", logging.ERROR
    logger.log(level, message, extra=_fields(event, remediation))


def _fields(event: Event, remediation: Remediation | None) -> dict[str, object]:
    fields: dict[str, object] = {"event": event.id}
    if remediation is not None:
        fields |= {
            "remediation": remediation.id,
            "alert": remediation.frozen.labels.get("alertname", ""),
            "playbook": remediation.frozen.playbook,
            "target": str(remediation.frozen.target),
        }
    elif event.occurrence_id is not None:
        fields["occurrence"] = event.occurrence_id
    if event.old is not None:
        fields["was"] = event.old
    if event.new is not None:
        fields["now"] = event.new
    if event.reason is not None:
        fields["reason"] = event.reason.value
    if remediation is not None and event.kind == "moved" and remediation.verdict is not None:
        fields["verdict"] = remediation.verdict.value
    # a detail's own names could collide with a log record's (`name`, `args`), so it stays one field
    if event.detail:
        fields["detail"] = event.detail
    return fields
