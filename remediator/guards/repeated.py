"""Denies what was healed again and again: healing hides a cause that people must find."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Reason

name = "repeated"


def check(frozen: Frozen, _facts: Facts, history: History, _now: float) -> GuardAnswer:
    """Deny once the playbook healed this target as often as it may within the window."""
    use = history.healed
    if use is None or use.used < use.rate.count:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    detail = {
        "playbook": frozen.playbook,
        "target": str(frozen.target),
        "healed": use.used,
        "most": use.rate.count,
        "window_seconds": use.rate.window,
        "again_at": use.frees_at,
    }
    return GuardAnswer(name, Answer.DENY, Reason.ROOT_CAUSE, detail)
