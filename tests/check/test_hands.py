"""What `selfheal check` says of commands, requests, Ansible and silences: is it permitted, and is it there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.check.one_step import check_step
from tests.redteam.policies import program

VERIFY = """verify: {healthy: 'up{instance="{{ $labels.instance }}"} >= 1', within: 5m}
"""
POLICY = """commands:
  tidy: {run: [/bin/true, "{size}"], parameters: {size: {type: number, at_most: 10}}}
urls: {"http://127.0.0.1:8080/admin": {methods: [GET, POST]}}
ansible: {play: {playbook: /p.yml, inventory: "h,", parameters: {x: {type: choice, of: [a]}}}}
silences: {longest: 6m}
"""


def problems(folder: Path, step: str, policy: str = POLICY) -> list[str]:
    """Return what is said of the playbook and of the policy, each without its file."""
    names = (f"{folder}/playbook.yml: ", f"{folder}/policy.yml: ")
    found = [str(problem) for problem in check_step(folder, step, VERIFY, policy).problems]
    told = [text.removeprefix(name) for text in found for name in names if text.startswith(name)]
    return [
        text.replace(str(folder), "FOLDER") for text in told if "/p.yml" not in text and "ansible_playbook" not in text
    ]


RIGHT = [
    "{action: command.run, with: {command: tidy, parameters: {size: 3}}}",
    '{action: command.run, with: {command: tidy, parameters: {size: "{{ $labels.size }}"}}}',
    '{action: http.request, with: {url: "http://127.0.0.1:8080/admin/x"}}',
    '{action: ansible.play, with: {playbook: play, parameters: {x: "a"}}}',
    "{action: silence.create, with: {for: 5m30s, comment: x}, undo: true}",
    "{action: annotate.mark, with: {text: x}}",
]


@pytest.mark.parametrize("step", RIGHT)
def test_what_the_policy_permits_passes(tmp_path: Path, step: str) -> None:
    assert problems(tmp_path, step) == []


WRONG = {
    "{action: command.run, with: {command: other}}": (
        "steps[0].with.command: command 'other' is not permitted; name it under commands in FOLDER/policy.yml"
    ),
    "{action: command.run, with: {command: tidy, parameters: {size: 11}}}": (
        "steps[0].with.parameters.size: must be from 0 to 10; mend it, or the parameter in FOLDER/policy.yml"
    ),
    "{action: command.run, with: {command: tidy}}": (
        "steps[0].with.parameters: tidy is not given its parameter size; add it, or a default in the policy"
    ),
    '{action: http.request, with: {url: "http://127.0.0.1:8080/admin", method: DELETE}}': (
        "steps[0].with.method: DELETE is not permitted at http://127.0.0.1:8080/admin; there are GET, POST"
    ),
    '{action: http.request, with: {url: "http://127.0.0.1:8080/"}}': (
        "steps[0].with.url: http://127.0.0.1:8080/ is not permitted; list it under urls in FOLDER/policy.yml"
    ),
    "{action: ansible.play, with: {playbook: other}}": (
        "steps[0].with.playbook: playbook 'other' is not permitted; name it under ansible in FOLDER/policy.yml"
    ),
    "{action: ansible.play, with: {playbook: play, parameters: {x: b}}}": (
        "steps[0].with.parameters.x: must be one of a; mend it, or the parameter in FOLDER/policy.yml"
    ),
    "{action: silence.create, with: {for: 7m, comment: x}, timeout: 2m, undo: true}": (
        "steps[0].with.for: a silence of 7m is not permitted; FOLDER/policy.yml allows 6m at most"
    ),
    "{action: silence.create, with: {for: 5m, comment: x}}": (
        "steps[0]: is left standing when a later step fails, and hides that from people and from the ladder; "
        "add undo: true"
    ),
    "{action: silence.create, with: {for: 5m31s, comment: x}, undo: true}": (
        "steps[0].with.for: 5m31s is longer than it takes to know whether it helped; "
        "lower it to 5m30s: until it ends nobody hears that it did not"
    ),
    "{action: command.run, with: {command: tidy, parameters: {size: 3}}, undo: true}": (
        "steps[0].undo: command.run cannot take back what it did; remove undo"
    ),
}


@pytest.mark.parametrize("step", WRONG)
def test_what_the_policy_does_not_permit_is_told_with_the_remedy(tmp_path: Path, step: str) -> None:
    assert problems(tmp_path, step) == [WRONG[step]]


def test_a_policy_that_permits_no_silence_says_how(tmp_path: Path) -> None:
    step = "{action: silence.create, with: {for: 5m, comment: x}, undo: true}"

    assert problems(tmp_path, step, "{}\n") == [
        "steps[0].with.for: a silence is not permitted; write silences: {longest: 2h} in FOLDER/policy.yml"
    ]


def test_a_check_that_is_no_program_and_a_secret_that_is_not_private_are_warned_of(tmp_path: Path) -> None:
    secret = tmp_path / "far.key"
    secret.write_text("Bearer x")
    secret.chmod(0o644)
    policy = (
        "commands: {tidy: {run: [/bin/true], check: [/nonexistent]}}\n"
        'urls: {"http://127.0.0.1:1/": {authorization_file: far.key}, '
        '"http://127.0.0.1:2/": {authorization_file: no}}\n'
    )

    assert problems(tmp_path, "{action: command.run, with: {command: tidy}}", policy) == [
        "commands.tidy.check: /nonexistent is no program that this user may start; mend the path",
        "urls.http://127.0.0.1:1/.authorization_file: FOLDER/far.key can be read or written by others (mode 0644); "
        "run chmod 600 FOLDER/far.key",
        "urls.http://127.0.0.1:2/.authorization_file: FOLDER/no cannot be read (No such file or directory); "
        "write the header into it, and chmod 600 it",
    ]


PROGRAMS = """commands:
  web: {start: [FOLDER/start], stop: [FOLDER/stop, now], status: [FOLDER/status]}
  tidy: {run: [FOLDER/run], check: [FOLDER/look]}
ansible: {play: {playbook: FOLDER/site.yml, inventory: FOLDER/hosts}}
units: {web.service: {verbs: [restart]}}
work_trees: {FOLDER: {name: tree, checkpoints: 1}}
journal: {floor: 100MiB, keep: 1d}
programs:
  {systemctl: FOLDER/systemctl, ansible_playbook: FOLDER/ansible, git: FOLDER/git, journalctl: FOLDER/journalctl}
"""
NAMED = {
    "start": "commands.web.start",
    "stop": "commands.web.stop",
    "status": "commands.web.status",
    "run": "commands.tidy.run",
    "look": "commands.tidy.check",
    "site.yml": "ansible.play.playbook",
    "hosts": "ansible.play.inventory",
    "systemctl": "programs.systemctl",
    "ansible": "programs.ansible_playbook",
    "git": "programs.git",
    "journalctl": "programs.journalctl",
}


def programs(folder: Path) -> list[str]:
    """Return what is said of a policy that names files of this folder."""
    policy = PROGRAMS.replace("FOLDER", str(folder))
    report = check_step(folder, "{action: command.run, with: {command: tidy}}", VERIFY, policy)
    name = f"{folder}/policy.yml: "
    found = [str(problem) for problem in report.problems if problem.file == f"{folder}/policy.yml"]
    return [text.removeprefix(name).replace(str(folder), "FOLDER") for text in found]


def test_what_could_be_anothers_is_warned_of_where_the_policy_names_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in NAMED:
        program(tmp_path / name, "")

    assert programs(tmp_path) == []

    for name in NAMED:
        (tmp_path / name).chmod(0o777)

    assert sorted(programs(tmp_path)) == sorted(
        f"{at}: FOLDER/{name} can be written by others, so it is refused; run chmod go-w FOLDER/{name}"
        for name, at in NAMED.items()
    )


def test_a_refusal_without_a_remedy_of_its_own_is_given_one(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    path = program(tmp_path / "open/tool", "")
    (tmp_path / "open").chmod(0o777)

    assert problems(
        tmp_path, "{action: command.run, with: {command: tidy}}", f"commands: {{tidy: {{run: [{path}]}}}}\n"
    ) == [
        "commands.tidy.run: FOLDER/open/tool could be replaced: everybody may write in FOLDER/open, so it is refused; "
        "name one in folders of root's or of the remediator's user that nobody else may write in"
    ]
