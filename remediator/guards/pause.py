"""Holds while somebody has paused remediation."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "pause"
ASK_AGAIN = 5.0
"""Seconds after which a pause without an end is looked at again."""


def check(_frozen: Frozen, facts: Facts, _history: History, now: float) -> GuardAnswer:
    """Hold until the pause ends, or look again soon when it has no end."""
    if facts.pause is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    ends = facts.pause.until if facts.pause.until is not None else now + ASK_AGAIN
    # a pause can be lifted early, so even a long one is asked again soon
    until = min(ends, now + ASK_AGAIN)
    return GuardAnswer(name, Answer.HOLD, Reason.PAUSED, {"who": facts.pause.who, "why": facts.pause.why}, until)
