"""service.restart with real commands: stop may fail, start must not, and status is what counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remediator.actions._services import commands
from remediator.errors import OutcomeUnknown, Refused
from remediator.policy import VERBS, Command
from tests.redteam.policies import program

NOTE = "import sys, pathlib; folder = pathlib.Path(sys.argv[1]); (folder / 'order').open('a').write({!r})\n"
START = NOTE.format("start ") + "(folder / 'up').touch()"
STOP = NOTE.format("stop ") + "(folder / 'up').unlink()"
STATUS = NOTE.format("status ") + "sys.exit(0 if (folder / 'up').exists() else 3)"
HANG = "import signal; signal.pause()"


def order(host: Any) -> list[str]:
    """Return the commands that ran, in order."""
    path = host.folder / "order"
    return path.read_text().split() if path.exists() else []


def test_the_plan_names_the_commands_and_gives_no_arguments_away(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)

    plan = host.plan("service.restart", service="web")

    assert plan.items == (
        {"kind": "command", "service": "web", "verb": "stop"},
        {"kind": "command", "service": "web", "verb": "start"},
    )
    assert plan.detail == {
        "service": "web",
        "commands_digest": commands.digest(host.policy.command("web")),
    }
    assert order(host) == []


def test_it_stops_starts_and_asks_until_it_is_well(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    (host.folder / "up").touch()

    outcome = host.run("service.restart", host.plan("service.restart", service="web"))

    assert outcome.ok
    assert [effect["verb"] for effect in outcome.effects] == ["stop", "start"]
    assert order(host) == ["stop", "start", "status"]
    assert outcome.detail["stop"]["code"] == outcome.detail["start"]["code"] == outcome.detail["status"]["code"] == 0
    assert host.points == ["effect_begun", "effect_done"]


def test_a_service_that_was_already_stopped_is_started_all_the_same(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)

    outcome = host.run("service.restart", host.plan("service.restart", service="web"))

    assert outcome.ok
    assert outcome.detail["stop"]["code"] == 1
    assert "FileNotFoundError" in outcome.detail["stop"]["output"]


def test_a_service_that_needs_a_while_is_asked_again(host: Any) -> None:
    slow = NOTE.format("status ") + "sys.exit(0 if (folder / 'order').read_text().count('status') >= 3 else 3)"
    host.permit_commands(START, STOP, slow)

    outcome = host.run("service.restart", host.plan("service.restart", service="web"))

    assert outcome.ok
    assert order(host) == ["stop", "start", "status", "status", "status"]


def test_a_service_that_does_not_become_well_is_a_known_failure_with_its_effects(host: Any) -> None:
    host.permit_commands(START, STOP, "import sys; print('not yet'); sys.exit(3)")

    outcome = host.run("service.restart", host.plan("service.restart", service="web"), timeout=3.0)

    assert not outcome.ok
    assert [effect["verb"] for effect in outcome.effects] == ["stop", "start"]
    assert (outcome.detail["status"]["code"], outcome.detail["status"]["output"]) == (3, "not yet")


def test_a_start_that_fails_is_a_known_failure_and_the_status_is_not_asked(host: Any) -> None:
    host.permit_commands("import sys; print('no licence'); sys.exit(9)", STOP, STATUS)

    outcome = host.run("service.restart", host.plan("service.restart", service="web"))

    assert not outcome.ok
    assert (outcome.detail["start"]["code"], outcome.detail["start"]["output"]) == (9, "no licence")
    assert order(host) == ["stop"]


def test_a_stop_that_hangs_is_ended_and_the_service_started_within_the_time(host: Any) -> None:
    host.permit_commands(START, HANG, STATUS)

    outcome = host.run("service.restart", host.plan("service.restart", service="web"), timeout=6.0)

    assert outcome.ok
    assert outcome.detail["stop"]["why"] == "it took too long"
    assert order(host) == ["start", "status"]


def test_a_start_that_hangs_has_an_unknown_outcome(host: Any) -> None:
    host.permit_commands(HANG, STOP, STATUS)

    with pytest.raises(OutcomeUnknown, match="start of 'web' was ended because it took too long"):
        host.run("service.restart", host.plan("service.restart", service="web"), timeout=3.0)


def test_without_time_left_the_service_is_started_all_the_same(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)

    outcome = host.run("service.restart", host.plan("service.restart", service="web"), timeout=0.0)

    assert "start" in order(host)
    assert [effect["verb"] for effect in outcome.effects] == ["stop", "start"]


def test_a_program_that_is_not_there_is_a_known_failure_without_effects(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    command = host.policy.command("web")
    host.permit(commands=(type(command)("web", ("/nonexistent",), ("/nonexistent",), command.status),))

    outcome = host.run("service.restart", host.plan("service.restart", service="web"))

    assert not outcome.ok
    assert outcome.effects == ()
    assert "cannot start /nonexistent" in outcome.detail["start"]["why"]


def test_commands_that_changed_since_the_plan_are_not_run(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    plan = host.plan("service.restart", service="web")
    host.permit_commands(START, STOP + "\n", STATUS)

    with pytest.raises(Refused, match="the policy's commands for 'web' have changed since this was planned"):
        host.run("service.restart", plan)

    assert order(host) == []
    assert host.points == []


def test_a_service_that_the_policy_no_longer_names_is_refused(host: Any) -> None:
    host.permit_commands(START, STOP, STATUS)
    plan = host.plan("service.restart", service="web")
    host.permit(commands=())

    with pytest.raises(Refused, match="service 'web' is not permitted"):
        host.run("service.restart", plan)
    with pytest.raises(Refused, match="service 'web' is not permitted"):
        host.plan("service.restart", service="web")

    assert order(host) == []


def permit_programs(host: Any, stop: str = "") -> dict[str, Path]:
    """Name the service `web`, whose commands are files, and return them by verb; `stop` also does that."""
    here = f"import sys, pathlib; sys.argv = ['', {str(host.folder)!r}]\n"
    codes = {"start": START, "stop": f"{STOP}\n{stop}", "status": STATUS}
    files = {verb: program(host.folder / verb, here + codes[verb]) for verb in VERBS}
    host.permit(commands=(Command("web", *((str(files[verb]),) for verb in ("start", "stop", "status")), 20.0),))
    (host.folder / "up").touch()
    return files


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("action", ["service.restart", "service.start"])
def test_where_one_program_is_not_to_be_trusted_nothing_is_planned_or_done(host: Any, verb: str, action: str) -> None:
    files = permit_programs(host)
    (host.folder / "up").unlink()
    plan = host.plan(action, service="web")
    (host.folder / "order").unlink(missing_ok=True)
    files[verb].chmod(0o777)

    with pytest.raises(Refused, match=f"{verb} can be written by others"):
        host.plan(action, service="web")
    with pytest.raises(Refused, match=f"{verb} can be written by others"):
        host.run(action, plan)

    assert order(host) == []
    assert host.points == []


@pytest.mark.parametrize(("verb", "done"), [("start", ["stop"]), ("status", ["stop", "start"])])
def test_a_program_that_is_refused_half_way_is_told_with_what_was_done(host: Any, verb: str, done: list[str]) -> None:
    permit_programs(host, stop=f"(folder / {verb!r}).chmod(0o777)")

    outcome = host.run("service.restart", host.plan("service.restart", service="web"))

    assert not outcome.ok
    assert [effect["verb"] for effect in outcome.effects] == done
    assert "can be written by others" in outcome.detail[verb]["why"]
    assert order(host) == done
