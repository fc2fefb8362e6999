"""Holds until the target has had its rest since the last effect on it, whoever caused it."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "cooldown"


def check(frozen: Frozen, _facts: Facts, history: History, now: float) -> GuardAnswer:
    """Hold until `cooldown` seconds after the last effect on the target."""
    if history.last_effect_at is None or frozen.limits.cooldown <= 0:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    until = history.last_effect_at + frozen.limits.cooldown
    if now >= until:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    detail = {"target": str(frozen.target), "remediation": history.last_effect_by, "seconds": frozen.limits.cooldown}
    return GuardAnswer(name, Answer.HOLD, Reason.COOLDOWN, detail, until)
