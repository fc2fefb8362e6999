"""The guard pause: it names who, what and until when, and looks again soon."""

from __future__ import annotations

import pytest

from remediator.guards import pause
from remediator.model import Answer, Pause, Reason, Scope
from tests.guards.test_guards import FACTS, FROZEN, HISTORY, NOW, facts


def test_without_a_pause_it_allows() -> None:
    assert pause.check(FROZEN, FACTS, HISTORY, NOW).answer is Answer.ALLOW


@pytest.mark.parametrize(
    ("until", "asks_at"),
    [
        pytest.param(None, NOW + pause.ASK_AGAIN, id="without an end"),
        pytest.param(NOW + 4.9, NOW + 4.9, id="ends before the next look"),
        pytest.param(NOW + 5.1, NOW + pause.ASK_AGAIN, id="ends after it"),
    ],
)
def test_a_pause_holds_until_it_ends_or_the_next_look(until: float | None, asks_at: float) -> None:
    answer = pause.check(FROZEN, facts(pause=Pause("kim", "deploy", until)), HISTORY, NOW)

    assert (answer.answer, answer.reason, answer.until) == (Answer.HOLD, Reason.PAUSED, asks_at)
    assert answer.detail == {"who": "kim", "why": "deploy", "until": until}


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (Scope("restart_worker"), {"playbook": "restart_worker"}),
        (Scope("", "web-1/service:shop"), {"target": "web-1/service:shop"}),
        (Scope("heal", "web-1/service:shop"), {"playbook": "heal", "target": "web-1/service:shop"}),
    ],
)
def test_what_is_paused_is_named(scope: Scope, told: dict[str, str]) -> None:
    answer = pause.check(FROZEN, facts(pause=Pause("kim", "", None, scope=scope)), HISTORY, NOW)

    assert answer.detail == {"who": "kim", "why": "", "until": None, **told}
