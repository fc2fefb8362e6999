"""Denies what is not free to act: a playbook in observe, or one that would need an approval."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Mode, Reason

name = "mode"


def check(frozen: Frozen, _facts: Facts, _history: History, _now: float) -> GuardAnswer:
    """Allow only mode auto: observe records what would have run, approve cannot be asked for yet."""
    match frozen.mode:
        case Mode.AUTO:
            return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
        case Mode.APPROVE:
            return GuardAnswer(name, Answer.DENY, Reason.APPROVAL_MISSING)
        case Mode.OBSERVE:
            return GuardAnswer(name, Answer.DENY, Reason.OBSERVE_MODE)
