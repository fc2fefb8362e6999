"""The guard of the mode, on both sides: the rung that is read in the deciding transaction counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from remediator.guards import mode, would_have
from remediator.model import Answer, Mode, Reason
from tests.guards.values import FACTS, FROZEN, HISTORY, NOW

OBSERVE, APPROVE, AUTO = Mode.OBSERVE, Mode.APPROVE, Mode.AUTO


@pytest.mark.parametrize(
    ("frozen", "rung", "withdrawn", "reason"),
    [
        (AUTO, None, False, Reason.ALLOWED),
        (AUTO, AUTO, False, Reason.ALLOWED),
        (AUTO, APPROVE, False, Reason.DEMOTED),
        (AUTO, OBSERVE, False, Reason.DEMOTED),
        (APPROVE, AUTO, False, Reason.ALLOWED),
        (APPROVE, APPROVE, False, Reason.ALLOWED),
        (APPROVE, OBSERVE, False, Reason.DEMOTED),
        (OBSERVE, AUTO, False, Reason.OBSERVE_MODE),
        # the file, or highest_mode, may be what is lower
        (AUTO, AUTO, True, Reason.PLAYBOOK_CHANGED),
        (AUTO, None, True, Reason.PLAYBOOK_CHANGED),
        (AUTO, APPROVE, True, Reason.DEMOTED),
    ],
)
def test_nothing_goes_further_than_what_is_left(
    frozen: Mode, rung: Mode | None, withdrawn: bool, reason: Reason
) -> None:
    found = mode.check(
        replace(FROZEN, mode=frozen), replace(FACTS, withdrawn=withdrawn), replace(HISTORY, rung=rung), NOW
    )

    assert found.reason is reason
    assert found.answer is (Answer.ALLOW if reason is Reason.ALLOWED else Answer.DENY)
    # what observing would have done is not stopped by that it observes
    assert would_have([found]).answer is Answer.ALLOW
