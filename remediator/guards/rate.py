"""Holds while any rate (of the target, the playbook, or all together) is used up."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, RateUse, Reason

name = "rate"


def check(frozen: Frozen, _facts: Facts, history: History, _now: float) -> GuardAnswer:
    """Hold until the last of the used-up windows has room again; all that are used up are named."""
    full = [use for use in history.rates if use.used >= use.rate.count]
    if not full:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    last = max(full, key=lambda use: use.frees_at)
    others = [_told(frozen, use) for use in full if use is not last]
    detail = _told(frozen, last) | ({"also": others} if others else {})
    return GuardAnswer(name, Answer.HOLD, Reason.RATE_LIMITED, detail, last.frees_at)


def _told(frozen: Frozen, use: RateUse) -> dict[str, object]:
    """Return a rate as a person reads it: whose it is, how many in which window, how many there were, until when."""
    whose = {"target": str(frozen.target), "playbook": frozen.playbook}.get(use.scope, "")
    return {
        "scope": use.scope,
        "of": whose,
        "count": use.rate.count,
        "window_seconds": use.rate.window,
        "used": use.used,
        "until": use.frees_at,
    }
