"""Denies what only observes, and what was frozen in a higher mode than is left; approve is the approval guard's."""

from __future__ import annotations

from remediator.model import Answer, Facts, Frozen, GuardAnswer, History, Mode, Reason
from remediator.model.trust import is_below

name = "mode"


def check(frozen: Frozen, facts: Facts, history: History, _now: float) -> GuardAnswer:
    """Deny mode observe, which records what would have run, and what was frozen in a higher mode than is left to it.

    What is left is the file's mode and `highest_mode` by now, and the rung that the playbook has earned: that one is
    read in the transaction that decides, so that a demotion counts from the moment it is stored.
    """
    if frozen.mode is Mode.OBSERVE:
        return GuardAnswer(name, Answer.DENY, Reason.OBSERVE_MODE)
    reason = taken_away(frozen, history.rung, facts.withdrawn)
    if reason is None:
        return GuardAnswer(name, Answer.ALLOW, Reason.ALLOWED)
    rung = {} if history.rung is None else {"rung": history.rung.value}
    return GuardAnswer(name, Answer.DENY, reason, {"playbook": frozen.playbook, **rung})


def taken_away(frozen: Frozen, rung: Mode | None, withdrawn: bool) -> Reason | None:
    """Given the rung that is set, and whether file or `highest_mode` allow less by now, return what forbids it."""
    if rung is not None and is_below(rung, frozen.mode):
        return Reason.DEMOTED
    return Reason.PLAYBOOK_CHANGED if withdrawn else None
