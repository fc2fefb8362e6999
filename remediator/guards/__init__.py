"""Guards: each a pure question about one decision, answered allow, hold or deny with a reason.

A guard is a module with a `name` and one function
`check(frozen: Frozen, facts: Facts, history: History, now: float) -> GuardAnswer`.
It reads nothing but its arguments. All are asked, in this order, and all answers are recorded;
a deny beats a hold, and the first deny (else the first hold) names the reason. A guard that errs denies.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from remediator.guards import (
    approval,
    blast_radius,
    breaker,
    cooldown,
    duplicate,
    lock,
    mode,
    monitoring,
    owner,
    pause,
    policy,
    rate,
    repeated,
    still_firing,
    window,
)
from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

logger = logging.getLogger(__name__)


class Guard(Protocol):
    """A module in this folder."""

    name: str

    def check(self, frozen: Frozen, facts: Facts, history: History, now: float) -> GuardAnswer:
        """Answer for one decision."""
        ...


GUARDS: tuple[Guard, ...] = (
    pause,
    window,
    monitoring,
    owner,
    duplicate,
    lock,
    breaker,
    cooldown,
    rate,
    repeated,
    blast_radius,
    policy,
    still_firing,
    approval,
    mode,
)


def ask_all(
    frozen: Frozen, facts: Facts, history: History, now: float, guards: Sequence[Guard] = GUARDS
) -> tuple[GuardAnswer, ...]:
    """Return every guard's answer, in order. A guard that raises is recorded as a deny with reason guard_failed."""
    return tuple(_ask(guard, frozen, facts, history, now) for guard in guards)


def _ask(guard: Guard, frozen: Frozen, facts: Facts, history: History, now: float) -> GuardAnswer:
    try:
        return guard.check(frozen, facts, history, now)
    except Exception as error:
        # fail closed: a guard that cannot answer has not allowed
        logger.exception("guard failed", extra={"guard": guard.name})
        return GuardAnswer(guard.name, Answer.DENY, Reason.GUARD_FAILED, {"error": error.__class__.__name__})


def combine(answers: Sequence[GuardAnswer]) -> GuardAnswer:
    """Given all answers, return the one that decides; allow only when every guard allowed."""
    for wanted in (Answer.DENY, Answer.HOLD):
        found = [answer for answer in answers if answer.answer is wanted]
        if found:
            return found[0]
    return GuardAnswer("all", Answer.ALLOW, Reason.ALLOWED)


def would_have(answers: Sequence[GuardAnswer]) -> GuardAnswer:
    """Given all answers in mode observe, return what would have decided were the playbook free to act."""
    return combine([answer for answer in answers if answer.guard != mode.name])
