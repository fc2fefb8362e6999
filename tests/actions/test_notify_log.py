"""notify.log writes what it is told and touches nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from remediator.actions import ACTIONS
from remediator.actions.local import LocalDispatch
from remediator.errors import Refused
from remediator.model import Plan, nothing_happens
from selfheal.common.clock import SystemClock


def test_a_message_is_planned_and_written_without_effects(host: Any) -> None:
    plan = host.plan("notify.log", message="worker $(x) is back")

    outcome = host.run("notify.log", plan)

    assert plan.items == ({"kind": "message", "text": "worker $(x) is back"},)
    assert host.said == ["worker $(x) is back"]
    assert outcome.ok
    assert outcome.effects == ()
    assert host.points == ["effect_begun", "effect_done"]


@pytest.mark.parametrize("item", [{}, {"kind": "file", "path": "/x"}, {"kind": "message", "text": 5}])
def test_a_plan_that_holds_something_else_is_refused(host: Any, item: dict[str, object]) -> None:
    with pytest.raises(Refused, match="holds something that is no message"):
        host.run("notify.log", Plan(({"kind": "message", "text": "a"}, item)))

    assert host.said == []


def test_unless_told_otherwise_a_message_goes_to_the_log(host: Any, caplog: pytest.LogCaptureFixture) -> None:
    dispatch = LocalDispatch(lambda: host.policy, ACTIONS, SystemClock(), None, nothing_happens)

    with caplog.at_level(logging.INFO):
        dispatch.run("web-1", "notify.log", dispatch.plan("web-1", "notify.log", {"message": "hello"}, 5.0), 5.0)

    (record,) = [record for record in caplog.records if record.name == "remediator.actions.local"]
    assert record.text == "hello"
