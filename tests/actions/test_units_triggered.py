"""Units that systemd starts when another one fails or ends, with a really booted systemd: each is judged beforehand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from remediator.errors import Refused
from remediator.policy import Policy
from remediator.policy.scale import Scale
from remediator.policy.unit_facts import dragged_along
from remediator.policy.values import Unit
from tests.actions.systemd_world import ALL, SLEEP, UNITS, UnitHost, service, unit_host
from tests.stack.support import wait_until

TOLD = service("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true")
TRIGGERED = {
    "call.service": TOLD,
    "prometheus-call.service": TOLD,
    "ill.service": service("Type=oneshot", "ExecStart=/bin/false", unit="OnFailure=call.service not-there.service"),
    "well.service": service(SLEEP, "ExecReload=/bin/kill -HUP $MAINPID", unit="OnSuccess=call.service"),
    "hopeless.service": service("Type=oneshot", "ExecStart=/bin/false", unit="OnFailure=reboot.target"),
    "watched.service": service(SLEEP, unit="OnFailure=prometheus-call.service"),
    "fatal.service": service(SLEEP, unit="OnFailure=drastic.service"),
    "drastic.service": service("ExecStart=/bin/true", unit="SuccessAction=reboot"),
    "alone.service": service(SLEEP, unit="OnFailure=call.service\nOnFailureJobMode=isolate"),
    "leading.service": service(SLEEP, unit="Wants=drastic.service"),
    "asking.service": service(SLEEP, unit="Wants=ill.service"),
    "calling.service": service(SLEEP, unit="OnFailure=rival.service"),
    "rival.service": service(SLEEP, unit="Conflicts=plain.service"),
    "crew@.service": service(SLEEP, unit="OnSuccess=call.service"),
}
CREW = "crew@.service"


@pytest.fixture(scope="module")
def booted_host() -> Iterator[UnitHost]:
    with pytest.MonkeyPatch.context() as patch:
        for name, text in TRIGGERED.items():
            patch.setitem(UNITS, name, text)
        with unit_host() as host:
            host.permit(scale=(Scale(CREW, 0, 4),))
            yield host


@pytest.fixture
def host(booted_host: UnitHost) -> Iterator[UnitHost]:
    before: Policy = booted_host.policy
    booted_host.world.systemctl("stop", "crew@*.service")
    booted_host.rest("ill.service", "well.service")
    # ended, each of them has called
    booted_host.rest("call.service")
    yield booted_host
    booted_host.policy = before


def forbid(host: UnitHost, unit: str, *verbs: str) -> None:
    """Permit all of every unit but these verbs of one."""
    rest = tuple(verb for verb in ALL if verb not in verbs)
    host.permit(units=tuple(Unit(unit, rest) if each.pattern == unit else each for each in host.policy.units))


@pytest.mark.parametrize("action", ["service.start", "service.restart"])
def test_what_a_failure_starts_is_listed_and_needs_a_permission(host: UnitHost, action: str) -> None:
    plan = host.plan(action, unit="ill.service")
    forbid(host, "call.service", "start")

    with pytest.raises(
        Refused, match=r"with unit 'ill\.service' systemd does trigger to 'call\.service': 'start' is not permitted"
    ):
        host.plan(action, unit="ill.service")
    with pytest.raises(Refused, match="'start' is not permitted for unit 'call"):
        host.run(action, plan)

    verb = action.removeprefix("service.")
    assert plan.items == (
        {"kind": "unit", "unit": "ill.service", "verb": verb},
        {"kind": "unit", "unit": "call.service", "verb": "trigger", "with": "ill.service"},
    )
    assert host.state("call.service") == "inactive"


def test_what_a_failure_starts_is_started_where_it_is_permitted(host: UnitHost) -> None:
    outcome = host.do("service.start", unit="ill.service")

    wait_until(lambda: host.state("call.service") == "active")
    assert not outcome.ok


@pytest.mark.parametrize("action", ["service.restart", "service.reload"])
def test_what_an_end_starts_needs_a_permission(host: UnitHost, action: str) -> None:
    host.start("well.service")
    forbid(host, "call.service", "start")

    with pytest.raises(Refused, match=r"systemd does trigger to 'call\.service': 'start' is not permitted"):
        host.plan(action, unit="well.service")

    assert host.state("well.service") == "active"


def test_a_start_is_not_taken_back_where_its_end_would_start_what_is_not_permitted(host: UnitHost) -> None:
    plan = host.plan("service.start", unit="well.service")
    outcome = host.run("service.start", plan)
    forbid(host, "call.service", "start")

    with pytest.raises(Refused, match=r"systemd does trigger to 'call\.service'"):
        host.undo("service.start", plan, outcome)

    assert host.state("well.service") == "active"


@pytest.mark.parametrize("by", [-1, 1])
def test_scaling_that_may_start_what_is_not_permitted_is_refused(host: UnitHost, by: int) -> None:
    host.start("crew@1.service")
    listed = host.plan("scale.set", template=CREW, by=by)
    forbid(host, "call.service", "start")

    with pytest.raises(Refused, match=r"systemd does trigger to 'call\.service': 'start' is not permitted"):
        host.plan("scale.set", template=CREW, by=by)

    assert {"kind": "unit", "unit": "call.service", "verb": "trigger", "with": CREW} in listed.items
    assert host.state("crew@1.service") == "active"


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("hopeless.service", r"trigger to 'reboot\.target': .*no other kind of unit is ever touched"),
        ("watched.service", r"trigger to 'prometheus-call\.service': .*never touched"),
        ("fatal.service", r"trigger to 'drastic\.service': .*takes the whole machine along: SuccessAction=reboot"),
        ("alone.service", r"takes the whole machine along: OnFailureJobMode=isolate"),
    ],
)
@pytest.mark.parametrize("action", ["service.start", "service.restart"])
def test_a_failure_that_would_start_what_is_never_touched_refuses_all(
    host: UnitHost, unit: str, why: str, action: str
) -> None:
    with pytest.raises(Refused, match=why):
        host.plan(action, unit=unit)


def test_what_needs_a_unit_that_takes_the_machine_along_is_not_started(host: UnitHost) -> None:
    with pytest.raises(Refused, match=r"systemd does start to 'drastic\.service': .* the whole machine along"):
        host.plan("service.start", unit="leading.service")


def test_what_runs_already_may_have_ended_by_the_time_of_the_failure(host: UnitHost) -> None:
    host.start("call.service")
    forbid(host, "call.service", "start")

    with pytest.raises(Refused, match=r"systemd does trigger to 'call\.service'"):
        host.plan("service.start", unit="ill.service")


def test_what_follows_the_failure_of_another_that_is_started_along_is_judged_too(host: UnitHost) -> None:
    forbid(host, "call.service", "start")

    with pytest.raises(Refused, match=r"with unit 'asking\.service' systemd does trigger to 'call\.service'"):
        host.plan("service.start", unit="asking.service")


def test_what_is_triggered_stops_nobody_without_a_permission(host: UnitHost) -> None:
    host.start("plain.service")
    forbid(host, "plain.service", "stop")

    with pytest.raises(Refused, match=r"with unit 'calling\.service' systemd does stop to 'plain\.service'"):
        host.plan("service.start", unit="calling.service")


@pytest.mark.parametrize("verb", ["limit", "reset-failed"])
def test_what_neither_begins_nor_ends_a_run_triggers_nothing(verb: str) -> None:
    assert dragged_along(verb, {"OnFailure": "call.service", "OnSuccess": "call.service"}) == set()
