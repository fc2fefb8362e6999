"""Denies when the condition is gone, holds while it is silenced, inhibited or cannot be seen."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "still_firing"
ASK_AGAIN = 5.0
"""Seconds until a held question is put again."""


def check(frozen: Frozen, facts: Facts, _history: History, now: float) -> GuardAnswer:
    """Allow only on a live answer, newer than the delivery, that the alert's own expression still holds."""
    live = facts.live
    if facts.clock_jumped:
        return _hold(frozen, facts, now, Reason.CLOCK_JUMPED, {})
    if live is None or live.firing is None or live.blind:
        return _hold(frozen, facts, now, Reason.BLIND, {"sources": list(live.blind) if live else []})
    if not live.firing:
        return GuardAnswer(name, Answer.DENY, Reason.SELF_RESOLVED, {"asked_at": live.asked_at})
    if live.silenced_by:
        return _hold(frozen, facts, now, Reason.SILENCED, {"silences": list(live.silenced_by)})
    if live.inhibited_by:
        return _hold(frozen, facts, now, Reason.INHIBITED, {"alerts": list(live.inhibited_by)})
    return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED, {"asked_at": live.asked_at})


def _hold(frozen: Frozen, facts: Facts, now: float, reason: Reason, detail: dict[str, object]) -> GuardAnswer:
    since = facts.held_since if facts.held_since is not None else now
    if now - since >= frozen.limits.hold_at_most:
        return GuardAnswer(name, Answer.DENY, Reason.HOLD_EXPIRED, detail | {"held_for": reason.value})
    return GuardAnswer(name, Answer.HOLD, reason, detail, min(now + ASK_AGAIN, since + frozen.limits.hold_at_most))
