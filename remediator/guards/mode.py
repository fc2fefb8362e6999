"""Denies what only observes; mode approve is the approval guard's."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Mode, Reason

name = "mode"


def check(frozen: Frozen, facts: Facts, _history: History, _now: float) -> GuardAnswer:
    """Deny mode observe, which records what would have run, and what was frozen in a higher mode than is left to it."""
    if frozen.mode is Mode.OBSERVE:
        return GuardAnswer(name, Answer.DENY, Reason.OBSERVE_MODE)
    if facts.withdrawn:
        return GuardAnswer(name, Answer.DENY, Reason.PLAYBOOK_CHANGED, {"playbook": frozen.playbook})
    return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
