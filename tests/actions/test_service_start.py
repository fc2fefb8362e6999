"""service.start by the policy's commands: what is well is left alone, and what was started can be stopped again."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.actions import ACTIONS, problems
from remediator.errors import OutcomeUnknown, Refused
from remediator.model import Outcome, Plan
from tests.actions.test_service_restart import HANG, START, STATUS, STOP, order


def test_a_service_that_is_not_well_is_started(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)

    plan = host.plan("service.start", service="web")
    outcome = host.run("service.start", plan)

    assert plan.items == ({"kind": "command", "service": "web", "verb": "start"},)
    assert outcome.ok
    assert outcome.effects == plan.items
    assert "stop" not in order(host)


def test_a_service_that_is_well_leaves_nothing_to_do(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    (host.folder / "up").touch()

    plan = host.plan("service.start", service="web")

    assert plan.items == ()
    assert plan.detail["why"] == "service 'web' is well already"
    assert order(host) == ["status"]


def test_a_service_that_somebody_else_started_meanwhile_is_refused(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    plan = host.plan("service.start", service="web")
    (host.folder / "up").touch()

    with pytest.raises(Refused, match="service 'web' was started by somebody else since this was planned"):
        host.run("service.start", plan)

    assert "start" not in order(host)


def test_what_was_started_is_stopped_again(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    plan = host.plan("service.start", service="web")
    outcome = host.run("service.start", plan)

    undone = host.dispatch().undo("web-1", "service.start", plan, outcome, 20.0)

    assert undone.ok
    assert order(host)[-1] == "stop"
    assert not (host.folder / "up").exists()


def test_where_nothing_was_started_nothing_is_stopped(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    plan = host.plan("service.start", service="web")

    undone = host.dispatch().undo("web-1", "service.start", plan, Outcome(False, (), {}), 20.0)

    assert undone.ok
    assert undone.effects == ()
    assert "stop" not in order(host)


def test_a_stop_that_hangs_leaves_the_undo_unknown(host: Any) -> None:
    host.permit_commands(START, HANG, STATUS)
    plan = host.plan("service.start", service="web")
    outcome = host.run("service.start", plan)

    with pytest.raises(OutcomeUnknown, match="stop of 'web' was ended because it took too long"):
        host.dispatch().undo("web-1", "service.start", plan, outcome, 1.0)


def test_a_restart_cannot_be_taken_back(host: Any) -> None:
    with pytest.raises(Refused, match=r"service\.restart cannot take back what it did"):
        host.dispatch().undo("web-1", "service.restart", Plan((), {"service": "web"}), Outcome(True, ()), 5.0)


@pytest.mark.parametrize(
    ("given", "what"),
    [({}, "says not which one"), ({"service": "web", "unit": "web.service"}, "service and unit stand together")],
)
def test_exactly_one_service_is_named(given: dict[str, object], what: str) -> None:
    (fault,) = problems(ACTIONS["service.start"], given)

    assert fault.what == what
