"""Denies a second remediation of an occurrence that already has a live one."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "duplicate"


def check(_frozen: Frozen, _facts: Facts, history: History, _now: float) -> GuardAnswer:
    """Deny while another remediation of the same occurrence is live (watching is not)."""
    if history.live_duplicate is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    return GuardAnswer(name, Answer.DENY, Reason.DUPLICATE, {"remediation": history.live_duplicate})
