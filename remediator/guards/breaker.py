"""Holds while a circuit breaker over the playbook is open; once its time is over one remediation may try."""

from __future__ import annotations

from remediator.model import Answer, Breaker, Facts, Frozen, GuardAnswer, History, Json, Reason

name = "breaker"
ASK_AGAIN = 30.0
"""Seconds; the end of a trial, and a person's reset, wake what is held earlier."""


def check(_frozen: Frozen, _facts: Facts, history: History, now: float) -> GuardAnswer:
    """Hold until every breaker lets one try, or is closed."""
    held = [(until, breaker) for breaker in history.breakers if (until := _until(breaker, now)) is not None]
    if held:
        until, breaker = max(held, key=lambda pair: pair[0])
        detail: Json = {"breaker": breaker.name, "state": breaker.state.value}
        detail |= {"trial": breaker.trial} if breaker.trial is not None else {}
        detail |= {"failed": breaker.failed, "ended": breaker.ended}
        return GuardAnswer(name, Answer.HOLD, Reason.BREAKER_OPEN, detail, until)
    tries = [breaker.name for breaker in history.breakers]
    return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED, {"tries": tries} if tries else {})


def _until(breaker: Breaker, now: float) -> float | None:
    """Return until when a breaker holds, or None if the one that asks may try."""
    if breaker.trial is not None:
        return now + ASK_AGAIN
    if breaker.tries_at is not None and now < breaker.tries_at:
        return breaker.tries_at
    return None
