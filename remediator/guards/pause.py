"""Holds while somebody has paused remediation: all of it, this playbook, or this target."""

from __future__ import annotations

from dataclasses import asdict

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "pause"
ASK_AGAIN = 5.0
"""Seconds after which a pause is looked at again: it can be lifted early."""


def check(_frozen: Frozen, facts: Facts, _history: History, now: float) -> GuardAnswer:
    """Hold until the pause ends, or look again soon when it has no end."""
    pause = facts.pause
    if pause is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    ends = pause.until if pause.until is not None else now + ASK_AGAIN
    # a pause can be lifted early, so even a long one is asked again soon
    until = min(ends, now + ASK_AGAIN)
    scope = {key: value for key, value in asdict(pause.scope).items() if value}
    detail = {"who": pause.who, "why": pause.why, "until": pause.until, **scope}
    return GuardAnswer(name, Answer.HOLD, Reason.PAUSED, detail, until)
