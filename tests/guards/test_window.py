"""The guard window: it holds while a maintenance window is open, and names it."""

from __future__ import annotations

from remediator.guards import window
from remediator.model import Answer, OpenWindow, Reason
from tests.guards.test_guards import FACTS, FROZEN, HISTORY, NOW, facts


def test_outside_every_window_it_allows() -> None:
    assert window.check(FROZEN, FACTS, HISTORY, NOW).answer is Answer.ALLOW


def test_inside_a_window_it_holds_to_its_end_and_names_it() -> None:
    answer = window.check(FROZEN, facts(window=OpenWindow("night", "backup", NOW + 7_200)), HISTORY, NOW)

    assert (answer.answer, answer.reason, answer.until) == (Answer.HOLD, Reason.WINDOW, NOW + 7_200)
    assert answer.detail == {"window": "night", "why": "backup", "until": NOW + 7_200}
