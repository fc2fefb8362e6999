"""The guard rate: several windows, and every one that is used up is named with its scope, count and end."""

from __future__ import annotations

from dataclasses import replace

from remediator.guards import rate
from remediator.model import Answer, Rate, RateUse, Reason
from tests.guards.test_guards import FACTS, FROZEN, HISTORY, NOW, history

TARGET = RateUse("target", Rate(2, 600.0), 2, NOW + 10)
PLAYBOOK = RateUse("playbook", Rate(3, 3_600.0), 4, NOW + 100)
ALL = RateUse("all", Rate(10, 86_400.0), 10, NOW + 5_000)
FREE = tuple(replace(use, used=use.rate.count - 1) for use in (TARGET, PLAYBOOK, ALL))


def test_while_each_window_has_room_it_allows() -> None:
    assert rate.check(FROZEN, FACTS, HISTORY, NOW).answer is Answer.ALLOW
    assert rate.check(FROZEN, FACTS, history(rates=FREE), NOW).answer is Answer.ALLOW


def test_a_used_up_window_is_named_with_scope_count_window_and_end() -> None:
    for use, whose in ((TARGET, "web-1/process_group:worker"), (PLAYBOOK, "restart_worker"), (ALL, "")):
        answer = rate.check(FROZEN, FACTS, history(rates=(*FREE, use)), NOW)

        assert (answer.answer, answer.reason, answer.until) == (Answer.HOLD, Reason.RATE_LIMITED, use.frees_at)
        assert answer.detail == {
            "scope": use.scope,
            "of": whose,
            "count": use.rate.count,
            "window_seconds": use.rate.window,
            "used": use.used,
            "until": use.frees_at,
        }


def test_of_several_the_last_to_have_room_decides_and_the_others_are_named_too() -> None:
    answer = rate.check(FROZEN, FACTS, history(rates=(TARGET, ALL, PLAYBOOK)), NOW)

    assert answer.until == NOW + 5_000
    assert answer.detail["scope"] == "all"
    assert [each["scope"] for each in answer.detail["also"]] == ["target", "playbook"]
