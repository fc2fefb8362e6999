"""service.* with units of a really booted systemd: what is planned, done, refused, and judged by their states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Plan
from remediator.policy import Policy
from remediator.shell import Finished
from remediator.systemctl import settle
from tests.actions.systemd_world import ALL, UnitHost, unit_host
from tests.stack.support import wait_until


@pytest.fixture(scope="module")
def booted_host() -> Iterator[UnitHost]:
    with unit_host() as host:
        yield host


@pytest.fixture
def host(booted_host: UnitHost) -> Iterator[UnitHost]:
    before: Policy = booted_host.policy
    yield booted_host
    booted_host.policy = before


def test_the_plan_is_bound_to_the_run_of_the_unit_that_is_there_now(host: UnitHost) -> None:
    host.start("web.service")

    plan = host.plan("service.restart", unit="web.service")

    assert plan.items == ({"kind": "unit", "unit": "web.service", "verb": "restart"},)
    assert plan.detail == {
        "unit": "web.service",
        "active_state": "active",
        "main_pid": int(host.show("web.service", "MainPID")),
        "invocation_id": host.show("web.service", "InvocationID"),
    }


def test_a_restart_ends_the_run_that_was_planned_and_waits_for_the_next(host: UnitHost) -> None:
    host.start("web.service")
    plan = host.plan("service.restart", unit="web.service")

    outcome = host.run("service.restart", plan)

    assert outcome.ok
    assert outcome.effects == plan.items
    assert outcome.detail["active_state"] == "active"
    assert outcome.detail["invocation_id"] == host.show("web.service", "InvocationID") != plan.detail["invocation_id"]
    assert host.points == ["effect_begun", "effect_done"]


def test_a_unit_that_somebody_else_restarted_meanwhile_is_refused_and_left_alone(host: UnitHost) -> None:
    host.start("web.service")
    plan = host.plan("service.restart", unit="web.service")
    host.start("web.service")
    theirs = host.show("web.service", "InvocationID")

    with pytest.raises(Refused, match="it was started anew by somebody else and is active"):
        host.run("service.restart", plan)

    assert host.show("web.service", "InvocationID") == theirs
    assert host.points == []


def test_a_unit_that_ended_meanwhile_is_refused(host: UnitHost) -> None:
    host.start("web.service")
    plan = host.plan("service.restart", unit="web.service")
    host.world.systemctl("kill", "--kill-whom=main", "--signal=SEGV", "web.service")
    wait_until(lambda: host.state("web.service") == "failed")

    with pytest.raises(Refused, match="it was active and is failed; what is needed now must be asked anew"):
        host.run("service.restart", plan)

    assert host.state("web.service") == "failed"


def test_a_failed_unit_is_started_again(host: UnitHost) -> None:
    host.start("web.service")
    host.world.systemctl("kill", "--kill-whom=main", "--signal=SEGV", "web.service")
    wait_until(lambda: host.state("web.service") == "failed")

    outcome = host.do("service.restart", unit="web.service")

    assert outcome.ok
    assert host.state("web.service") == "active"


def test_a_unit_that_fails_again_is_a_known_failure_with_its_effects(host: UnitHost) -> None:
    host.fail("failing.service")

    outcome = host.do("service.restart", unit="failing.service")

    assert not outcome.ok
    assert outcome.effects
    assert (outcome.detail["active_state"], outcome.detail["result"]) == ("failed", "exit-code")


def test_a_unit_that_systemd_will_start_again_only_later_is_a_known_failure(host: UnitHost) -> None:
    plan = host.plan("service.restart", unit="looping.service")

    outcome = host.run("service.restart", plan)

    assert not outcome.ok
    assert (outcome.detail["active_state"], outcome.detail["sub_state"]) == ("activating", "auto-restart")
    host.rest("looping.service")


def test_a_job_that_ends_well_is_well(host: UnitHost) -> None:
    outcome = host.do("service.restart", unit="job.service")

    assert outcome.ok
    assert outcome.detail["active_state"] == "inactive"


def test_a_job_that_was_passed_over_did_nothing(host: UnitHost) -> None:
    # it waits for hanging.service, which another test may have left half way
    host.rest("queued.service", "hanging.service")
    # what another unit speaks of stays in systemd's memory
    host.start("queued.service")

    outcome = host.do("service.restart", unit="passed-over.service")

    assert not outcome.ok
    assert (outcome.detail["active_state"], outcome.detail["result"]) == ("inactive", "success")


def test_a_restart_that_is_not_done_in_time_has_an_unknown_outcome(host: UnitHost) -> None:
    plan = host.plan("service.restart", unit="hanging.service")

    with (
        host.out_of_time_once(lambda: host.state("hanging.service") == "activating"),
        pytest.raises(OutcomeUnknown, match=r"restart of unit 'hanging\.service' was left alone because it took too"),
    ):
        host.run("service.restart", plan)

    assert host.state("hanging.service") == "activating"


def test_there_is_nothing_to_do_while_systemd_is_at_work_on_the_unit(host: UnitHost) -> None:
    host.world.systemctl("--no-block", "start", "hanging.service")
    wait_until(lambda: host.show("hanging.service", "Job") not in ("", "0"))

    plan = host.plan("service.restart", unit="hanging.service")

    assert plan.items == ()
    assert plan.detail["why"] == "unit 'hanging.service' is being worked on by systemd already (activating)"
    host.rest("hanging.service")


def test_what_systemd_was_told_since_the_plan_is_not_overruled(host: UnitHost) -> None:
    host.rest("queued.service")
    plan = host.plan("service.restart", unit="queued.service")
    host.world.systemctl("--no-block", "start", "hanging.service", "queued.service")
    wait_until(lambda: host.show("queued.service", "Job") not in ("", "0"))

    with pytest.raises(Refused, match="systemd is at work on it for somebody else"):
        host.run("service.restart", plan)

    host.rest("queued.service", "hanging.service")


def test_a_unit_that_failed_too_often_is_started_only_after_its_failures_are_forgotten(host: UnitHost) -> None:
    host.fail("tired.service")
    host.sh("touch /run/mended")

    too_early = host.do("service.restart", unit="tired.service")
    forgotten = host.do("service.reset_failed", unit="tired.service")
    between = host.state("tired.service")
    again = host.do("service.restart", unit="tired.service")

    # it would run by now, but is not even tried
    assert (too_early.ok, too_early.detail["active_state"]) == (False, "failed")
    assert forgotten.ok
    assert between == "inactive"
    assert again.ok


def test_only_what_has_failed_is_forgotten(host: UnitHost) -> None:
    host.start("web.service")

    plan = host.plan("service.reset_failed", unit="web.service")

    assert plan.items == ()
    assert plan.detail["why"] == "unit 'web.service' has not failed"


def test_forgetting_again_after_a_crash_finds_it_done(host: UnitHost) -> None:
    host.fail("failing.service")
    plan = host.plan("service.reset_failed", unit="failing.service")
    host.run("service.reset_failed", plan)

    outcome = host.run("service.reset_failed", plan)

    assert outcome.ok
    assert outcome.detail["why"] == "unit 'failing.service' is not failed any more"


def test_another_failure_than_the_planned_one_is_not_forgotten(host: UnitHost) -> None:
    host.fail("failing.service")
    plan = host.plan("service.reset_failed", unit="failing.service")
    host.world.systemctl("reset-failed", "failing.service")
    host.fail("failing.service")

    with pytest.raises(Refused, match="it was started anew by somebody else and is failed"):
        host.run("service.reset_failed", plan)

    assert host.state("failing.service") == "failed"


def test_a_transient_unit_is_not_forgotten_as_a_whole(host: UnitHost) -> None:
    host.world.systemctl("stop", "brief.service", check=False)
    host.world.run("systemd-run", "--unit=brief", "--property=DefaultDependencies=no", "/bin/false")
    wait_until(lambda: host.state("brief.service") == "failed")
    host.permit_units(brief=ALL)

    with pytest.raises(Refused, match="is transient: systemd would forget all of it"):
        host.plan("service.reset_failed", unit="brief.service")

    assert host.state("brief.service") == "failed"


def test_a_reload_keeps_the_run_and_tells_the_unit(host: UnitHost) -> None:
    host.start("web.service")
    host.sh("rm -f /run/reloaded")
    before = host.show("web.service", "InvocationID")

    outcome = host.do("service.reload", unit="web.service")

    assert outcome.ok
    assert host.sh("ls /run/reloaded") == "/run/reloaded"
    assert host.show("web.service", "InvocationID") == before


def test_only_a_unit_that_can_is_reloaded(host: UnitHost) -> None:
    host.start("plain.service")

    with pytest.raises(Refused, match=r"unit 'plain\.service' cannot reload; it has no ExecReload"):
        host.plan("service.reload", unit="plain.service")


def test_what_does_not_run_has_nothing_to_reload(host: UnitHost) -> None:
    host.rest("web.service")

    plan = host.plan("service.reload", unit="web.service")

    assert plan.items == ()
    assert plan.detail["why"] == "unit 'web.service' does not run (inactive), so there is nothing to reload"


def test_a_reload_that_fails_is_a_known_failure(host: UnitHost) -> None:
    host.start("broken-reload.service")

    outcome = host.do("service.reload", unit="broken-reload.service")

    assert not outcome.ok
    assert outcome.detail["active_state"] == "active"


def test_a_start_is_taken_back_by_stopping_that_very_run(host: UnitHost) -> None:
    host.rest("web.service")
    plan = host.plan("service.start", unit="web.service")
    outcome = host.run("service.start", plan)
    started = host.state("web.service")

    undone = host.undo("service.start", plan, outcome)

    assert outcome.ok
    assert started == "active"
    assert undone.ok
    assert host.state("web.service") == "inactive"


def test_what_somebody_else_started_since_is_not_stopped(host: UnitHost) -> None:
    host.rest("web.service")
    plan = host.plan("service.start", unit="web.service")
    outcome = host.run("service.start", plan)
    host.start("web.service")

    with pytest.raises(Refused, match="is not in the run that we started; whoever started it may want it"):
        host.undo("service.start", plan, outcome)

    assert host.state("web.service") == "active"


def test_a_start_is_not_taken_back_unless_stop_is_permitted(host: UnitHost) -> None:
    host.rest("web.service")
    plan = host.plan("service.start", unit="web.service")
    outcome = host.run("service.start", plan)
    host.permit_units(web=("start",))

    with pytest.raises(Refused, match=r"'stop' is not permitted for unit 'web\.service'"):
        host.undo("service.start", plan, outcome)


def test_what_runs_is_not_started(host: UnitHost) -> None:
    host.start("web.service")

    plan = host.plan("service.start", unit="web.service")

    assert plan.items == ()
    assert plan.detail["why"] == "unit 'web.service' runs already (active)"


@pytest.mark.parametrize(
    ("action", "verb"),
    [
        ("service.restart", "restart"),
        ("service.reload", "reload"),
        ("service.start", "start"),
        ("service.reset_failed", "reset-failed"),
    ],
)
def test_each_verb_needs_its_own_permission(host: UnitHost, action: str, verb: str) -> None:
    host.permit_units(web=tuple(each for each in ALL if each != verb))

    with pytest.raises(Refused, match=f"'{verb}' is not permitted for unit"):
        host.plan(action, unit="web.service")


def test_a_plan_is_refused_once_the_policy_is_taken_away(host: UnitHost) -> None:
    host.start("web.service")
    plan = host.plan("service.restart", unit="web.service")
    before = host.show("web.service", "InvocationID")
    host.permit_units(web=("status", "reload"))

    with pytest.raises(Refused, match="'restart' is not permitted"):
        host.run("service.restart", plan)

    assert host.show("web.service", "InvocationID") == before


def test_units_that_would_be_restarted_along_are_listed_and_need_a_permission(host: UnitHost) -> None:
    host.start("base.service", "beside.service")

    plan = host.plan("service.restart", unit="base.service")
    host.permit_units(base=("restart",))

    assert plan.items == (
        {"kind": "unit", "unit": "base.service", "verb": "restart"},
        {"kind": "unit", "unit": "beside.service", "verb": "restart", "with": "base.service"},
    )
    with pytest.raises(Refused, match=r"systemd does restart to 'beside\.service': unit 'beside\.service' is not perm"):
        host.plan("service.restart", unit="base.service")
    host.rest("beside.service")
    assert len(host.plan("service.restart", unit="base.service").items) == 1


def test_what_came_to_be_dragged_along_since_the_plan_is_refused(host: UnitHost) -> None:
    host.start("base.service")
    host.rest("beside.service")
    plan = host.plan("service.restart", unit="base.service")
    host.world.systemctl("start", "beside.service")

    with pytest.raises(Refused, match="other units would be dragged along"):
        host.run("service.restart", plan)


def test_what_a_unit_wants_is_listed_where_it_does_not_run(host: UnitHost) -> None:
    host.rest("needy.service", "needed.service")

    plan = host.plan("service.start", unit="needy.service")
    host.world.systemctl("start", "needed.service")
    outcome = host.run("service.start", plan)

    assert plan.items[1:] == ({"kind": "unit", "unit": "needed.service", "verb": "start", "with": "needy.service"},)
    # somebody else started that one
    assert outcome.ok
    assert outcome.effects == plan.items[:1]


def test_a_start_that_would_stop_another_unit_needs_that_permission_too(host: UnitHost) -> None:
    host.start("plain.service")
    host.permit_units(enemy=("start",), plain=("restart",))

    with pytest.raises(Refused, match=r"systemd does stop to 'plain\.service': 'stop' is not permitted"):
        host.plan("service.start", unit="enemy.service")

    assert host.state("plain.service") == "active"


def test_a_unit_that_may_not_be_started_by_hand_is_refused(host: UnitHost) -> None:
    with pytest.raises(Refused, match="cannot be started by hand"):
        host.plan("service.start", unit="stubborn.service")


def test_a_masked_unit_stays_as_somebody_wanted_it(host: UnitHost) -> None:
    host.rest("enemy.service")
    host.sh("mkdir -p /etc/systemd/system; ln -sf /dev/null /etc/systemd/system/enemy.service")
    host.world.systemctl("daemon-reload")

    with pytest.raises(Refused, match="is masked: somebody does not want it to run"):
        host.plan("service.restart", unit="enemy.service")

    host.sh("rm /etc/systemd/system/enemy.service")
    host.world.systemctl("daemon-reload")


def test_a_unit_that_is_not_there_is_told(host: UnitHost) -> None:
    host.permit_units(nowhere=ALL)

    with pytest.raises(ActionFailed, match=r"unit 'nowhere\.service' is not-found"):
        host.plan("service.restart", unit="nowhere.service")


def test_a_systemctl_that_is_denied_is_known_to_have_done_nothing(host: UnitHost) -> None:
    host.start("web.service")
    plan = host.plan("service.restart", unit="web.service")
    told = 'echo "Failed to restart web.service: Access denied"; exit 4'
    denied = host.wrapper("denied", f'case "$*" in *restart*) {told};; esac')
    host.permit(programs=replace(host.policy.programs, systemctl=str(denied)))

    with pytest.raises(ActionFailed, match=r"systemd would not restart unit 'web\.service': .*Access denied"):
        host.run("service.restart", plan)


def test_an_answer_that_was_lost_leaves_the_outcome_open(host: UnitHost) -> None:
    host.start("web.service")
    plan = host.plan("service.restart", unit="web.service")
    told = 'echo "Failed to restart web.service: Connection timed out"; exit 1'
    lost = host.wrapper("lost", f'case "$*" in *restart*) {told};; esac')
    host.permit(programs=replace(host.policy.programs, systemctl=str(lost)))

    with pytest.raises(OutcomeUnknown, match=r"what systemd made of restart .* is not known: .*Connection timed out"):
        host.run("service.restart", plan)


@pytest.mark.parametrize(
    ("code", "output", "error"),
    [
        (0, "", None),
        (1, "Job for web.service failed because the control process exited with error code.", None),
        (1, "Job for web.service canceled.", None),
        (1, "A dependency job for web.service failed. See 'journalctl -xe' for details.", None),
        (1, "Assertion failed on job for web.service.", None),
        (4, "Failed to restart web.service: Access denied", ActionFailed),
        (1, "Failed to set unit properties on web.service: Access denied", ActionFailed),
        (1, "Failed to restart web.service: Interactive authentication required.", ActionFailed),
        (5, "Failed to restart web.service: Unit web.service not found.", ActionFailed),
        (1, "Failed to restart web.service: Unit web.service is masked.", ActionFailed),
        (4, "Failed to restart web.service: Transaction for web.service/restart is destructive", ActionFailed),
        (1, "Failed to connect to bus: No such file or directory", ActionFailed),
        (1, "Failed to restart web.service: Connection reset by peer", OutcomeUnknown),
        (1, "Failed to restart web.service: Remote peer disconnected", OutcomeUnknown),
        (-9, "", OutcomeUnknown),
        (1, "", OutcomeUnknown),
    ],
)
def test_nothing_is_known_to_be_begun_only_where_systemd_says_so(
    code: int, output: str, error: type[Exception] | None
) -> None:
    finished = Finished(code, output, 1.0)

    if error is None:
        settle(finished, "restart", "web.service")
        return
    with pytest.raises(error):
        settle(finished, "restart", "web.service")


def test_a_plan_of_another_verb_or_of_nothing_is_refused(host: UnitHost) -> None:
    with pytest.raises(Refused, match="the stored plan names no service"):
        host.run("service.restart", Plan((), {}))
    with pytest.raises(Refused, match="the stored plan names no service"):
        host.run("service.restart", Plan((), {"unit": "web.service", "service": "web"}))
