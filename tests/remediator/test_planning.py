"""A step is planned in one place: its plan, or why there is none, is the same to who decides and to who runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from remediator.errors import Refused
from remediator.model import Plan, Reason, Remediation, State
from remediator.planning import Planned, plan_next, same_action
from tests.guards.values import FROZEN

PLAN = Plan(({"kind": "command", "service": "web", "verb": "restart"},))


class Hands:
    """Where a plan comes from: what it does is the test's."""

    def __init__(self, made: Plan | Exception) -> None:
        self.made = made
        self.asked: list[tuple[str, str]] = []

    def plan(self, host: str, action: str, _arguments: Mapping[str, Any], _timeout: float, **_: object) -> Plan:
        self.asked.append((host, action))
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


def parts(made: Plan | Exception, version: int) -> Any:
    errors: list[str] = []
    return SimpleNamespace(
        actions={FROZEN.steps[0].action: SimpleNamespace(version=version)},
        dispatch=Hands(made),
        counters=SimpleNamespace(count=lambda _metric, stage: errors.append(stage)),
        errors=errors,
    )


def remediation() -> Remediation:
    return Remediation(
        id=7, occurrence_id=1, frozen=FROZEN, state=State.PENDING, reason=None, verdict=None, cancel=None, position=0,
        until=None, created_at=0.0, held_since=None, started_at=None, verified_at=None, ended_at=None, proof={},
    )  # fmt: skip


STEP = FROZEN.steps[0]
BROKE = {"action": STEP.action, "error": "ZeroDivisionError: by nought"}


@pytest.mark.parametrize(
    ("made", "version", "planned", "counted"),
    [
        pytest.param(PLAN, STEP.version, Planned(PLAN), [], id="planned"),
        pytest.param(
            PLAN,
            STEP.version + 1,
            Planned(problem=Reason.ACTION_CHANGED, detail={"action": STEP.action}),
            [],
            id="another version of the action",
        ),
        pytest.param(
            Refused("not permitted"),
            STEP.version,
            Planned(problem=Reason.POLICY, refused="not permitted"),
            [],
            id="the policy refuses",
        ),
        pytest.param(
            ZeroDivisionError("by nought"),
            STEP.version,
            Planned(problem=Reason.STEP_FAILED, detail=BROKE),
            ["run"],
            id="the action broke",
        ),
    ],
)
def test_a_plan_or_why_there_is_none(
    made: Plan | Exception, version: int, planned: Planned, counted: list[str]
) -> None:
    given = parts(made, version)

    assert plan_next(given, remediation(), "run") == planned
    assert given.errors == counted
    # what is another action now is not even asked
    assert len(given.dispatch.asked) == (0 if planned.problem is Reason.ACTION_CHANGED else 1)


def test_an_action_that_is_gone_is_not_the_same() -> None:
    given = parts(PLAN, STEP.version)

    assert same_action(given, STEP)
    assert not same_action(given, replace(STEP, action="gone.away"))
