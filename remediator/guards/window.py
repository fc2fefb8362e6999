"""Holds while a maintenance window is open."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "window"


def check(_frozen: Frozen, facts: Facts, _history: History, _now: float) -> GuardAnswer:
    """Hold until the window closes."""
    window = facts.window
    if window is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    detail = {"window": window.name, "why": window.why, "until": window.until}
    return GuardAnswer(name, Answer.HOLD, Reason.WINDOW, detail, window.until)
