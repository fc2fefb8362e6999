"""Red team at the door that starts programs: options, templates, other people's programs, other names of units."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from remediator.ansible import run_ansible
from remediator.errors import ActionFailed, Refused
from remediator.policy import Policy, Refusal
from remediator.policy.values import Ansible, Parameter, ParameterType, Programs, Unit
from remediator.shell import Asked, run_named
from remediator.systemctl import run_unit
from tests.redteam.policies import echo, give_away, program, text

SHOW = """
import sys
names = {NAMES!r}
if sys.argv[2] == "show":
    print(f"Id={names[0]}\\nNames={' '.join(names)}\\nLoadState=loaded\\nActiveState=active\\nMainPID={PID}")
else:
    print("did " + " ".join(sys.argv[1:]))
"""


def permitting(*commands: object) -> Policy:
    return Policy(named=commands, source="policy.yml")  # type: ignore[arg-type]


def run(policy: Policy, **parameters: object) -> list[object]:
    """Run `echo` with these parameters; return what it was given."""
    finished = run_named(policy, Asked("echo", parameters), 20.0, time.monotonic)
    assert finished.ok, finished.output
    told: list[object] = json.loads(finished.output)
    return told


HOSTILE = ["$(reboot)", "`reboot`", "; reboot", "a b", "*", "'\"", "{x}", "{{ x }}", "%n", "a=--force", "…", "한국어"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_one_argument_whatever_it_holds(value: str) -> None:
    policy = permitting(echo("--name", "--", "{x}", parameters=(text(),)))

    assert run(policy, x=value)[0] == ["--name", "--", value]


OPTIONS = ["-rf", "--", "-", "--help", "", "a\nb", "a\0b", "\u202e-rf", "\u2066x", "a" * 257]


@pytest.mark.parametrize("value", OPTIONS, ids=ascii)
def test_a_value_that_could_be_an_option_or_hides_something_starts_nothing(value: str, tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    touching = replace(echo("{x}", parameters=(text(),)), run=("/usr/bin/touch", str(canary), "{x}"))

    with pytest.raises(Refused, match="parameter 'x'"):
        run_named(permitting(touching), Asked("echo", {"x": value}), 5.0, time.monotonic)

    assert not canary.exists()


def test_the_content_of_one_parameter_never_becomes_another() -> None:
    policy = permitting(echo("{x}", "{y}", parameters=(text("x"), text("y"))))

    assert run(policy, x="{y}", y="secret")[0] == ["{y}", "secret"]


@pytest.mark.parametrize("given", [{"x": "a", "z": "b"}, {}, {"x": None}, {"x": ["a"]}, {"x": {"a": 1}}, {"X": "a"}])
def test_only_the_declared_parameters_are_taken(given: dict[str, object]) -> None:
    with pytest.raises(Refused, match="parameter"):
        run(permitting(echo("{x}", parameters=(text(),))), **given)


def test_the_alert_comes_by_input_only_where_the_policy_says_so_and_nothing_of_ours_comes_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LD_PRELOAD_OF_SOMEBODY", "x")
    alert = {"labels": {"x": '"\n{"status": "resolved"}'}}
    asked = Asked("echo", alert=alert)

    told = json.loads(run_named(permitting(echo(stdin="alert")), asked, 20.0, time.monotonic).output)
    silent = json.loads(run_named(permitting(echo()), asked, 20.0, time.monotonic).output)

    assert json.loads(told[1]) == alert
    assert (told[1].count("\n"), told[1][-1]) == (1, "\n")
    assert silent[1] == ""
    assert told[2] == silent[2] == ["HOME", "LANG", "PATH"]
    assert told[3] == "/"


def test_what_only_reads_may_not_run_what_is_not_marked_so() -> None:
    asked = Asked("echo", only_reading=True)

    with pytest.raises(Refused, match="command 'echo' is not marked read_only"):
        run_named(permitting(echo()), asked, 5.0, time.monotonic)
    assert run_named(permitting(echo(read_only=True)), asked, 20.0, time.monotonic).ok


@pytest.mark.parametrize("name", ["/bin/sh", "Echo", "echo ", "", "ech\N{CYRILLIC SMALL LETTER O}", "*"])
def test_a_command_is_known_by_its_name_to_the_letter(name: str) -> None:
    with pytest.raises(Refused, match="is not permitted; name it under commands"):
        run_named(permitting(echo()), Asked(name), 5.0, time.monotonic)


def run_program(path: Path) -> str:
    """Run a program as the only command; return what the door refuses, or `ran`."""
    try:
        run_named(permitting(replace(echo(), run=(str(path),))), Asked("echo"), 20.0, time.monotonic)
    except Refused as error:
        return error.detail
    return "ran"


def test_a_program_that_everybody_may_write_is_not_started(tmp_path: Path) -> None:
    path = program(tmp_path / "tool", "print('hi')")

    assert run_program(path) == "ran"
    path.chmod(0o777)
    assert "can be written by others" in run_program(path)


def test_a_program_that_could_be_replaced_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    path = program(tmp_path / "bin/tool", "print('hi')")
    link = tmp_path / "link"
    link.symlink_to(path)
    (tmp_path / "bin").chmod(0o777)

    assert "everybody may write in" in run_program(path)
    assert "everybody may write in" in run_program(link)

    (tmp_path / "bin").chmod(0o1777)

    assert run_program(path) == "ran"


def test_a_link_that_could_be_made_to_lead_elsewhere_is_not_started(tmp_path: Path) -> None:
    path = program(tmp_path / "tool", "print('hi')")
    (tmp_path / "open").mkdir()
    (tmp_path / "open/link").symlink_to(path)
    (tmp_path / "link").symlink_to("open/link")
    (tmp_path / "open").chmod(0o777)

    for each in (tmp_path / "open/link", tmp_path / "link"):
        assert "everybody may write in" in run_program(each)

    (tmp_path / "open").chmod(0o755)

    assert run_program(tmp_path / "link") == "ran"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder or link away")
def test_a_program_in_another_users_folder_or_behind_their_link_is_not_started(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    path = program(tmp_path / "theirs/tool", "print('hi')")
    link = tmp_path / "link"
    link.symlink_to(path)

    assert run_program(link) == "ran"
    os.lchown(link, 65_534, 65_534)
    assert "link belongs to uid 65534" in run_program(link)
    os.chown(tmp_path / "theirs", 65_534, 65_534)
    assert "could be replaced: uid 65534 owns" in run_program(path)


def test_another_users_program_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path / "tool", "print('hi')")
    give_away(path, monkeypatch)

    assert "who could change it; give it to root" in run_program(path)


def test_a_pipe_for_a_program_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tool", 0o700)

    assert "is neither a file nor a folder" in run_program(tmp_path / "tool")


def systemctl(folder: Path, names: tuple[str, ...] = ("web.service",), pid: int = 0) -> Policy:
    """Return a policy whose systemctl tells these names and main process of every unit."""
    code = SHOW.replace("{NAMES!r}", repr(names)).replace("{PID}", str(pid))
    path = program(folder / "systemctl", code)
    units = (Unit("web.service", ("status", "restart")), Unit("app-*.service", ("restart",)))
    return Policy(units=units, programs=Programs(systemctl=str(path)), source="policy.yml")


def test_a_permitted_unit_is_restarted_by_its_name_after_two_dashes(tmp_path: Path) -> None:
    finished = run_unit(systemctl(tmp_path), "web.service", "restart", 20.0, time.monotonic)

    assert finished.output == "did --no-ask-password --no-pager restart -- web.service"


def test_the_status_of_a_unit_is_shown(tmp_path: Path) -> None:
    finished = run_unit(systemctl(tmp_path), "web.service", "status", 20.0, time.monotonic)

    assert "ActiveState=active" in finished.output.splitlines()


@pytest.mark.parametrize("hidden", ["sshd.service", "prometheus.service", "dbus-org.freedesktop.systemd1.service"])
def test_a_unit_that_is_also_one_that_is_never_touched_is_refused(tmp_path: Path, hidden: str) -> None:
    policy = systemctl(tmp_path, ("web.service", hidden))

    with pytest.raises(Refused, match=f"unit 'web.service' is also '{hidden}'"):
        run_unit(policy, "web.service", "restart", 20.0, time.monotonic)


def test_an_alias_whose_real_name_is_never_touched_is_refused(tmp_path: Path) -> None:
    policy = systemctl(tmp_path, ("ssh.service",))

    with pytest.raises(Refused, match=r"is also 'ssh\.service'"):
        run_unit(policy, "app-1.service", "restart", 20.0, time.monotonic)


@pytest.mark.parametrize(
    ("pid", "why"),
    [(os.getpid(), "the remediator itself is the process of unit"), (1, "is the system's first process")],
    ids=["ourselves", "the first one"],
)
def test_a_unit_whose_process_is_never_touched_is_refused(tmp_path: Path, pid: int, why: str) -> None:
    with pytest.raises(Refused, match=why):
        run_unit(systemctl(tmp_path, pid=pid), "web.service", "restart", 20.0, time.monotonic)


def test_the_unit_that_we_run_in_is_refused(tmp_path: Path) -> None:
    procfs = tmp_path / "proc"
    (procfs / "self").mkdir(parents=True)
    (procfs / "self/cgroup").write_text("1:name=systemd:/\n0::/system.slice/web.service/inner.scope\n")

    with pytest.raises(Refused, match=r"the remediator itself runs in unit 'web\.service'"):
        run_unit(replace(systemctl(tmp_path), procfs=procfs), "web.service", "restart", 20.0, time.monotonic)


def test_a_unit_that_cannot_be_looked_at_is_not_touched(tmp_path: Path) -> None:
    policy = systemctl(tmp_path)
    program(Path(policy.programs.systemctl), "import sys; print('no bus'); sys.exit(1)")

    with pytest.raises(ActionFailed, match="cannot be looked at before it is touched: no bus"):
        run_unit(policy, "web.service", "restart", 20.0, time.monotonic)


def test_what_is_not_permitted_does_not_even_start_systemctl(tmp_path: Path) -> None:
    policy = systemctl(tmp_path)
    program(Path(policy.programs.systemctl), f"open({str(tmp_path / 'ran')!r}, 'w')")
    for unit, verb in (("db.service", "status"), ("web.service", "stop"), ("app-*.service", "restart")):
        with pytest.raises(Refused):
            run_unit(policy, unit, verb, 5.0, time.monotonic)

    assert not (tmp_path / "ran").exists()


@pytest.fixture
def ansible(tmp_path: Path) -> Policy:
    """Return a policy with one playbook, run by a program that tells what it is given."""
    path = program(
        tmp_path / "ansible-playbook", "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))"
    )
    playbook = tmp_path / "redeploy.yml"
    playbook.write_text("[]")
    entry = Ansible("redeploy", str(playbook), "localhost,", "web", (text("version"),))
    return Policy(ansible=(entry,), programs=Programs(ansible_playbook=str(path)), source="policy.yml")


def test_an_ansible_playbook_is_run_with_its_parameters_as_variables(ansible: Policy, tmp_path: Path) -> None:
    finished = run_ansible(ansible, Asked("redeploy", {"version": "1.2; x"}), 20.0, time.monotonic)

    argv, environment = json.loads(finished.output)
    variables = ["--extra-vars", '{"version": "1.2; x"}']
    assert argv == ["--inventory", "localhost,", "--limit", "web", *variables, "--", str(tmp_path / "redeploy.yml")]
    assert not Path(environment["HOME"]).exists()
    assert "PYTHONPATH" not in environment


@pytest.mark.parametrize("value", ["{{ lookup('pipe', 'id') }}", "a{% if x %}", "{# x #}", "x{{"])
def test_a_template_in_a_template_is_refused_before_ansible_could_fill_it_in(ansible: Policy, value: str) -> None:
    with pytest.raises(Refused, match="parameter 'version' holds a template, which Ansible would fill in"):
        run_ansible(ansible, Asked("redeploy", {"version": value}), 20.0, time.monotonic)


def test_an_ansible_playbook_that_others_may_write_is_not_run(ansible: Policy, tmp_path: Path) -> None:
    (tmp_path / "redeploy.yml").chmod(0o666)

    with pytest.raises(Refused, match=r"redeploy\.yml can be written by others"):
        run_ansible(ansible, Asked("redeploy", {"version": "1"}), 20.0, time.monotonic)
    with pytest.raises(Refused, match="name it under ansible"):
        run_ansible(ansible, Asked(str(tmp_path / "redeploy.yml")), 20.0, time.monotonic)


def test_every_refusal_of_the_door_is_heard_once(ansible: Policy, tmp_path: Path) -> None:
    heard: list[Refusal] = []
    policy = replace(ansible, named=(echo("{x}", parameters=(text(),)),), heard=heard.append)
    for asked in (Asked("echo", {"x": "-rf"}), Asked("nobody"), Asked("echo", only_reading=True)):
        with pytest.raises(Refused):
            run_named(policy, asked, 5.0, time.monotonic)
    with pytest.raises(Refused):
        run_ansible(policy, Asked("redeploy", {"version": "{{ x }}"}), 5.0, time.monotonic)

    assert [refusal.door.value for refusal in heard] == ["shell"] * 4


def test_a_group_or_root_as_a_parameter_must_be_one_of_the_policys() -> None:
    parameters = (Parameter("g", ParameterType.GROUP), Parameter("r", ParameterType.ROOT))
    policy = replace(permitting(echo("{g}", "{r}", parameters=parameters)), process_groups=("worker-*",))

    with pytest.raises(Refused, match="process group 'db' is not permitted"):
        run(policy, g="db", r="/x")
    with pytest.raises(Refused, match="root '/etc' is not permitted"):
        run(policy, g="worker-1", r="/etc")
