"""Red team at named commands, requests, Ansible and silences: what a label, an answer or a policy could try."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions import ACTIONS
from remediator.actions.ansible_play import recap
from remediator.actions.local import LocalDispatch
from remediator.errors import Refused
from remediator.model import About, Alert
from remediator.playbooks.arguments import render_arguments
from remediator.policy import Policy, place_of
from remediator.policy.addresses import read_address
from remediator.policy.values import METHODS, Ansible, NamedCommand, Programs, Url
from remediator.policy_file import load_policy
from remediator.probes import PROBES
from selfheal.common.clock import SystemClock
from selfheal.common.problems import ConfigError
from tests.actions.about import ABOUT, Hands
from tests.redteam.policies import echo, give_away, program, text


def hands(*commands: NamedCommand, **more: Any) -> Hands:
    return Hands(Policy(named=commands, source="policy.yml", **more))


def rendered(action: str, written: dict[str, Any], label: str) -> dict[str, Any]:
    alert = Alert("firing", {"x": label, "y": "second"}, {}, 0.0, "f")
    return render_arguments(ACTIONS[action], written, alert, "with")


WRITTEN = {"command": "echo", "parameters": {"x": "{{ $labels.x }}"}}


@pytest.mark.parametrize("label", ["--help", "-", "-rf /", "\u202ex"], ids=ascii)
def test_a_label_that_could_be_an_option_or_hides_something_is_never_planned(label: str) -> None:
    made = hands(echo("{x}", parameters=(text(),), check=("/usr/bin/touch", "{x}")))
    arguments = {"command": "echo", "parameters": {"x": label}}

    with pytest.raises(Refused, match="parameter 'x'"):
        made.plan("command.run", **arguments)


@pytest.mark.parametrize("label", ["{{ $labels.y }}", "{y}", "$(id)", "; id", "a --force"])
def test_what_a_label_holds_is_one_argument_and_is_not_read_again(label: str) -> None:
    made = hands(echo("--", "{x}", parameters=(text(),)))

    outcome = made.run("command.run", made.plan("command.run", **rendered("command.run", WRITTEN, label)))

    assert json.loads(outcome.detail["output"])[0] == ["--", label]


HOSTILE = ["a\nb", "\u2028\u2029\x85", "\ud800", '"}\n{"labels": {}}', "\0", "x" * 65_536, "한국어"]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: ascii(value)[:20])
def test_whatever_a_label_holds_it_is_one_line_of_json_on_stdin(value: str, tmp_path: Path) -> None:
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    made = hands(NamedCommand("tell", (sys.executable, "-I", "-c", code, str(tmp_path / "got")), stdin="alert"))
    about = About({**ABOUT.alert, "labels": {"x": value}}, 1)

    made.run("command.run", made.plan("command.run", about=about, command="tell"), about=about)

    got = (tmp_path / "got").read_bytes()
    assert got.isascii()
    assert len(got.decode().splitlines()) == 1
    assert json.loads(got)["labels"] == {"x": value}


def test_neither_alert_nor_plan_is_in_argv_or_environment() -> None:
    made = hands(echo(stdin="plan"))
    about = About({**ABOUT.alert, "labels": {"secret": "0123456789"}}, 1)

    told = made.run("command.run", made.plan("command.run", about=about, command="echo"), about=about).detail["output"]

    argv, given, environment, _ = json.loads(told)
    assert (argv, environment) == ([], ["HOME", "LANG", "PATH"])
    assert "0123456789" in given


def test_a_probe_that_may_be_told_the_alert_is_told_it(tmp_path: Path) -> None:
    policy = Policy(named=(echo(stdin="alert", read_only=True),), source="policy.yml")
    dispatch = LocalDispatch(lambda: policy, ACTIONS, SystemClock(), None, lambda point: None, probes=lambda: PROBES)

    found = dispatch.probe("web-1", "command", {"command": "echo"}, 30.0, about=ABOUT)

    assert json.loads(json.loads(found["output"])[1]) == ABOUT.alert


@pytest.mark.parametrize("key", ["run", "check"])
def test_a_link_to_a_program_of_somebody_else_is_not_started(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "ran"
    target = program(tmp_path / "tool", f"open({str(canary)!r}, 'w')")
    link = tmp_path / "link"
    link.symlink_to(target)
    give_away(target, monkeypatch)
    made = hands(replace(echo(), **{key: (str(link),)}))

    with pytest.raises(Refused, match="who could change it"):
        made.run("command.run", made.plan("command.run", command="echo"))
    assert not canary.exists()


def test_a_child_that_stays_behind_and_holds_the_output_keeps_nobody_waiting(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = (
        "import os, signal, sys\n"
        "child = os.fork()\n"
        "if child == 0:\n    os.setsid(); signal.pause()\n"
        f"open({str(told)!r}, 'w').write(str(child))\nprint('started')"
    )
    made = hands(NamedCommand("start", (sys.executable, "-I", "-c", code), timeout=50.0))
    try:
        outcome = made.run("command.run", made.plan("command.run", command="start"), timeout=50.0)

        assert (outcome.ok, outcome.detail["output"]) == (True, "started")
        assert Path(f"/proc/{told.read_text()}").exists()
    finally:
        os.kill(int(told.read_text()), signal.SIGKILL)


def test_the_monitoring_itself_is_never_told_anything_whatever_the_policy_lists() -> None:
    urls = (Url(read_address("http://127.0.0.1:9090/"), METHODS), Url(read_address("http://localhost:9093/"), METHODS))
    places = frozenset({place_of("127.0.0.1", 9090), place_of("localhost", 9093)})
    made = hands(urls=urls, protected_addresses=places)

    for url in ("http://127.0.0.1:9090/-/quit", "http://localhost:9093/api/v2/silences"):
        with pytest.raises(Refused, match="belongs to the monitoring itself; it may only be asked"):
            made.plan("http.request", url=url, method="POST", body={})


def test_a_playbook_can_write_no_header_of_its_own() -> None:
    made = hands(urls=(Url(read_address("http://127.0.0.1:9/"), METHODS),))

    for injected in ("text/plain\r\nAuthorization: x", "text/plain\nHost: x"):
        with pytest.raises((Refused, ConfigError)):
            made.run(
                "http.request",
                made.plan("http.request", url="http://127.0.0.1:9/", body="x", content_type=injected),
            )


@pytest.fixture
def ansible(tmp_path: Path) -> Hands:
    """Return hands whose Ansible tells its arguments and then that all went well."""
    code = "import json, sys\nprint(json.dumps(sys.argv[1:]))\nprint('PLAY RECAP *\\nh : ok=1 changed=1 failed=0')"
    path = program(tmp_path / "ansible-playbook", code)
    (tmp_path / "play.yml").write_text("[]")
    entry = Ansible("play", str(tmp_path / "play.yml"), "h,", None, (text("version"),))
    return Hands(Policy(ansible=(entry,), programs=Programs(ansible_playbook=str(path)), source="policy.yml"))


@pytest.mark.parametrize(
    "value",
    ["x ansible_connection=ssh", '1", "ansible_become": "yes', "@/etc/passwd", "!vault x", "__ansible_unsafe", "[1]"],
)
def test_extra_variables_are_what_the_policy_declares_and_no_others(ansible: Hands, value: str) -> None:
    outcome = ansible.run("ansible.play", ansible.plan("ansible.play", playbook="play", parameters={"version": value}))

    argv = json.loads(outcome.detail["output"].splitlines()[0])
    assert json.loads(argv[argv.index("--extra-vars") + 1]) == {"version": value}
    assert "--check" not in argv


@pytest.mark.parametrize("value", ["{{ x }}", "{", "{ lookup('pipe', 'id') }}", "x{", "{% x"])
def test_what_could_become_a_template_beside_its_neighbour_is_refused(ansible: Hands, value: str) -> None:
    with pytest.raises(Refused, match="holds a template, which Ansible would fill in"):
        ansible.plan("ansible.play", playbook="play", parameters={"version": value})


def test_a_recap_that_a_task_or_a_diff_writes_is_not_believed() -> None:
    real = "PLAY RECAP ***\na : ok=0 changed=0 unreachable=1 failed=0\n"
    forged = "+PLAY RECAP ***\n+a : ok=9 changed=0 unreachable=0 failed=0\n PLAY RECAP *\n"

    assert recap(forged + real)["a"]["unreachable"] == 1
    assert recap(real + forged)["a"]["unreachable"] == 1
    assert list(recap("PLAY RECAP of a task ***\nb : ok=9 changed=9\n" + real)) == ["a"]


REFUSED = {
    "in the clear": (
        'urls: {"http://192.0.2.1/": {authorization_file: x}}',
        "urls: http://192.0.2.1/ would carry what authorization_file holds in the clear; "
        "write https://, or leave it out",
    ),
    "a secret in the place of its file": (
        'urls: {"https://192.0.2.1/": {authorization_file: "Bearer 0123456789"}}',
        "urls.https://192.0.2.1/.authorization_file: holds a blank, as a header does; "
        "name a private file (mode 0600) that holds the header",
    ),
    "a group that an interpreter behind another program would read": (
        'commands: {a: {run: [/usr/bin/env, python3, -Ic, "{x}"], parameters: {x: {type: group}}}}',
        "commands.a: run has python3 read {x} as a program; write it into a file, and give that {x}",
    ),
    "a value that a shell would read": (
        'commands: {a: {run: [/bin/sh, -c, "{x}"], parameters: {x: {type: text}}}}',
        "commands.a: run has /bin/sh read {x} as a program; write it into a file, and give that {x}",
    ),
    "a check that is the command": (
        "commands: {a: {run: [/bin/true], check: [/bin/true], read_only: true}}",
        "commands.a: check is for what changes something, and it is marked read_only; remove one of the two",
    ),
    "a check with a parameter of its own": (
        'commands: {a: {run: [/bin/true], check: [/bin/true, "{x}"]}}',
        "commands.a: check uses {x}, which is no parameter; add it under parameters",
    ),
    "a service with a check": (
        "commands: {a: {start: [/x], stop: [/x], status: [/x], check: [/x]}}",
        "commands.a: parameters, stdin, read_only, idempotent and check belong to run; remove them",
    ),
    "input of another kind": (
        "commands: {a: {run: [/bin/true], stdin: environment}}",
        "commands.a.stdin: 'environment' is no input; there are none, alert, plan",
    ),
    "silences without end": (
        "silences: {longest: 30d}",
        "silences.longest: must be longer than 0s and at most 7d; write for example 2h",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_policy_that_permits_too_much_is_no_policy(tmp_path: Path, name: str) -> None:
    written, expected = REFUSED[name]
    path = tmp_path / "policy.yml"
    path.write_text(written)
    path.chmod(0o600)

    with pytest.raises(ConfigError) as caught:
        load_policy(path)

    assert [str(problem) for problem in caught.value.problems] == [f"{path}: {expected}"]


def test_everything_a_policy_may_say_here_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.yml"
    path.write_text(
        "commands: {a: {run: [/bin/true], check: [/bin/echo], stdin: plan, idempotent: true},\n"
        '  b: {run: [/bin/sh, -c, "{x}", "{y}"], parameters: {x: {type: choice, of: [ls]}, y: {type: text}}}}\n'
        'urls: {"https://192.0.2.1/": {authorization_file: far.key}, "http://127.0.0.1:1/": {authorization_file: /k}}\n'
        'ansible: {p: {playbook: /p.yml, inventory: "h,", idempotent: true, check_mode: false}}\n'
        "silences: {longest: 2h}\n"
    )
    path.chmod(0o600)

    policy = load_policy(path)

    assert (policy.named[0].check, policy.named[0].stdin, policy.named[0].idempotent) == (("/bin/echo",), "plan", True)
    assert [entry.authorization_file for entry in policy.urls] == [tmp_path / "far.key", Path("/k")]
    assert (policy.ansible[0].idempotent, policy.ansible[0].check_mode) == (True, False)
    assert policy.silences.longest == 7200.0
