"""Holds while any rate (of the target, the playbook, or all together) is used up."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "rate"


def check(_frozen: Frozen, _facts: Facts, history: History, _now: float) -> GuardAnswer:
    """Hold until the last of the used-up windows has room again."""
    full = [use for use in history.rates if use.used >= use.rate.count]
    if not full:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    last = max(full, key=lambda use: use.frees_at)
    detail = {"scope": last.scope, "count": last.rate.count, "window_seconds": last.rate.window, "used": last.used}
    return GuardAnswer(name, Answer.HOLD, Reason.RATE_LIMITED, detail, last.frees_at)
