"""Holds while another remediation with effects works on the same host, or target."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "lock"
ASK_AGAIN = 30.0
"""Seconds; the release of the lock wakes the longest waiting one earlier."""


def check(frozen: Frozen, _facts: Facts, history: History, now: float) -> GuardAnswer:
    """Hold while somebody else has the lock."""
    if history.lock_holder is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    detail = {"remediation": history.lock_holder, "lock": frozen.lock_key}
    return GuardAnswer(name, Answer.HOLD, Reason.LOCKED, detail, now + ASK_AGAIN)
