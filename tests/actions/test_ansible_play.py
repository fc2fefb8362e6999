"""ansible.play by the real ansible-playbook on this machine: check mode as the dry run, and the recap as the end."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.actions.ansible_play import recap
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.policy import Policy
from remediator.policy.values import Ansible, Parameter, ParameterType, Programs
from tests.actions.about import Hands
from tests.redteam.policies import program
from tests.tools import do_without

HEAD = "- hosts: all\n  gather_facts: false\n  connection: local\n  vars: {ansible_python_interpreter: %s}\n  tasks:\n"
COPY = "    - ansible.builtin.copy: {content: '{{ text }}', dest: %s/out, mode: '0600'}\n"
SAID = """
PLAY [all] *****

TASK [debug] ***
ok: [a] => {"msg": "PLAY RECAP ***\\nb : ok=1 changed=9"}
+PLAY RECAP of a diff

PLAY RECAP *********************************************************************
a                          : ok=2    changed=1    unreachable=0    failed=0    skipped=3    rescued=0    ignored=0
web-1.example.org:22       : ok=0    changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0
[WARNING]: nothing : ok=1
"""


def ansible() -> str:
    """Return the real program."""
    beside = Path(sys.executable).with_name("ansible-playbook")
    found = str(beside) if beside.exists() else shutil.which("ansible-playbook")
    return found or do_without("ansible-playbook not found: run make setup")


def hands(folder: Path, tasks: str, playbook: str | None = None, **more: Any) -> Hands:
    path = folder / "play.yml"
    path.write_text(playbook or HEAD % sys.executable + tasks)
    entry = Ansible(
        "play", str(path), "localhost,", None, (Parameter("text", ParameterType.TEXT, default="hello"),), **more
    )
    return Hands(Policy(ansible=(entry,), programs=Programs(ansible_playbook=ansible()), source="policy.yml"))


def plan(made: Hands, **parameters: str) -> Any:
    return made.plan("ansible.play", timeout=150.0, playbook="play", parameters=parameters)


@pytest.mark.timeout(240)
def test_the_dry_run_tells_what_would_change_and_changes_nothing_and_then_that_is_done(tmp_path: Path) -> None:
    made = hands(tmp_path, COPY % tmp_path)

    planned = plan(made, text="$(reboot); 'x'")

    assert planned.items == ({"kind": "ansible", "playbook": "play", "host": "localhost", "changed": 1},)
    assert "+$(reboot); 'x'" in planned.detail["checked"]["output"]
    assert not (tmp_path / "out").exists()

    outcome = made.run("ansible.play", planned, timeout=150.0)

    assert outcome.ok, outcome.detail
    assert (tmp_path / "out").read_text() == "$(reboot); 'x'"
    assert outcome.effects == planned.items
    assert outcome.detail["hosts"]["localhost"] | {"ok": 1, "changed": 1} == outcome.detail["hosts"]["localhost"]
    assert plan(made, text="$(reboot); 'x'").items == ()
    assert made.points == ["effect_begun", "effect_done"]


@pytest.mark.timeout(240)
def test_a_task_that_fails_is_a_known_failure_with_the_hosts_that_were_changed(tmp_path: Path) -> None:
    made = hands(tmp_path, COPY % tmp_path + "    - ansible.builtin.fail: {msg: no luck}\n", check_mode=False)

    outcome = made.run("ansible.play", plan(made), timeout=150.0)

    assert not outcome.ok
    assert (outcome.detail["why"], outcome.detail["hosts"]["localhost"]["failed"]) == ("failed: localhost", 1)
    assert [effect["host"] for effect in outcome.effects] == ["localhost"]


def fake(folder: Path, code: str, **more: Any) -> Hands:
    """Return hands whose Ansible is a program of ours, for what the real one does only now and then."""
    made = hands(folder, "", playbook="[]", **more)
    path = program(folder / "ansible-playbook", code)
    made.policy = replace(made.policy, programs=Programs(ansible_playbook=str(path)))
    return made


LOST = """import sys
told = "ok=1 changed=1 unreachable=%d failed=0 skipped=0 rescued=0 ignored=0"
print("PLAY RECAP ***\\nlocalhost : " + told % ("--check" not in sys.argv))
"""


def test_a_host_that_is_not_reached_is_a_known_failure(tmp_path: Path) -> None:
    made = fake(tmp_path, LOST)

    outcome = made.run("ansible.play", plan(made), timeout=20.0)

    assert (outcome.ok, outcome.detail["why"]) == (False, "unreachable: localhost")


@pytest.mark.parametrize("code", ["print('[WARNING]: no hosts matched')", "import sys; sys.exit(2)"], ids=str)
def test_without_any_host_nothing_has_succeeded(tmp_path: Path, code: str) -> None:
    made = fake(tmp_path, code, check_mode=False)

    assert not made.run("ansible.play", plan(made), timeout=20.0).ok


def test_a_dry_run_that_fails_is_no_plan(tmp_path: Path) -> None:
    made = fake(tmp_path, "import sys; print('syntax'); sys.exit(4)")

    with pytest.raises(ActionFailed, match=r"the dry run of 'play' failed \(exit code 4, and no host was touched\)"):
        plan(made)


def test_one_that_the_policy_has_no_dry_run_of_is_planned_as_a_whole(tmp_path: Path) -> None:
    made = fake(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')", check_mode=False)

    planned = plan(made)

    assert (planned.items, planned.detail["dry_run"]) == (({"kind": "ansible", "playbook": "play"},), False)
    assert not (tmp_path / "ran").exists()


HANG = "import signal; signal.pause()"


def test_one_that_never_ends_is_ended_and_its_outcome_unknown(tmp_path: Path) -> None:
    made = fake(tmp_path, HANG, check_mode=False)

    with pytest.raises(OutcomeUnknown, match="'play' was ended because it took too long; what it did is not known"):
        made.run("ansible.play", plan(made), timeout=2.0)


BROKE_OFF = {
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended because it was killed by SIGKILL"),
    "in a task": (
        "import sys; print('PLAY [all] **\\n\\nTASK [copy] **\\nERROR! Unexpected Exception'); sys.exit(250)",
        r"was ended because it broke off in its tasks \(exit code 250\)",
    ),
    "in a handler, after more than is kept": (
        "import sys; print('RUNNING HANDLER [restart] **\\n' + 'x' * 70_000); sys.exit(1)",
        r"was ended because it broke off in its tasks \(exit code 1\)",
    ),
}


@pytest.mark.parametrize("name", BROKE_OFF)
def test_without_a_recap_after_its_tasks_have_begun_its_outcome_is_unknown(tmp_path: Path, name: str) -> None:
    code, why = BROKE_OFF[name]
    made = fake(tmp_path, code, check_mode=False)

    with pytest.raises(OutcomeUnknown, match=why):
        made.run("ansible.play", plan(made), timeout=20.0)


def test_by_the_policys_word_one_that_had_to_be_ended_has_failed_in_doubt(tmp_path: Path) -> None:
    made = fake(tmp_path, HANG, check_mode=False, idempotent=True)

    outcome = made.run("ansible.play", plan(made), timeout=2.0)

    assert (outcome.ok, outcome.detail["in_doubt"]) == (False, True)


def test_a_missing_program_is_refused_with_the_remedy(tmp_path: Path) -> None:
    made = fake(tmp_path, "", check_mode=False)
    planned = plan(made)
    (tmp_path / "ansible-playbook").unlink()

    for act in (lambda: plan(made), lambda: made.run("ansible.play", planned)):
        with pytest.raises(Refused, match="ansible-playbook is not there; install ansible-core, or name its place"):
            act()
    assert made.points == []
    assert [refusal.door.value for refusal in made.refusals] == ["shell", "shell"]


def test_a_playbook_that_changed_since_the_plan_is_not_run(tmp_path: Path) -> None:
    made = fake(tmp_path, "", check_mode=False)
    planned = plan(made)
    (tmp_path / "play.yml").write_text("[1]")

    with pytest.raises(Refused, match="playbook 'play', or what the policy says of it, has changed since"):
        made.run("ansible.play", planned)
    assert made.points == []


def test_a_playbook_that_is_gone_since_the_plan_is_refused_and_not_in_doubt(tmp_path: Path) -> None:
    made = fake(tmp_path, LOST)
    planned = plan(made)
    (tmp_path / "play.yml").unlink()

    with pytest.raises(Refused, match="has changed since this was planned"):
        made.run("ansible.play", planned, timeout=20.0)


def test_an_inventory_that_changed_since_the_plan_touches_nobody_else(tmp_path: Path) -> None:
    made = fake(tmp_path, LOST)
    inventory = tmp_path / "hosts"
    inventory.write_text("localhost\n")
    (entry,) = made.policy.ansible
    made.policy = replace(made.policy, ansible=(replace(entry, inventory=str(inventory)),))
    planned = plan(made)
    inventory.write_text("localhost\nweb-2\n")

    with pytest.raises(Refused, match="has changed since this was planned"):
        made.run("ansible.play", planned, timeout=20.0)
    assert made.points == []


def test_a_host_that_the_plan_did_not_show_is_told_and_is_no_success(tmp_path: Path) -> None:
    grows = "import sys\ncounts = ' : ok=1 changed=1 unreachable=0 failed=0 skipped=0 rescued=0 ignored=0'\n"
    grows += "hosts = ['a'] if '--check' in sys.argv else ['a', 'b']\n"
    grows += "print('PLAY RECAP ***\\n' + '\\n'.join(host + counts for host in hosts))"
    made = fake(tmp_path, grows)

    outcome = made.run("ansible.play", plan(made), timeout=20.0)

    assert (outcome.ok, outcome.detail["why"]) == (False, "hosts that the plan did not show: b")
    assert [effect["host"] for effect in outcome.effects] == ["a", "b"]


def test_more_hosts_than_a_plan_can_show_are_no_plan(tmp_path: Path) -> None:
    told = "print('PLAY RECAP ***')\nfor number in range(201): print(f'h{number} : ok=1 changed=1 failed=0')"

    with pytest.raises(ActionFailed, match="'play' would touch 201 hosts, and a plan shows 200 at most"):
        plan(fake(tmp_path, told))


def test_the_recap_is_what_stands_after_the_last_of_its_headings() -> None:
    found = recap(SAID)

    assert list(found) == ["a", "web-1.example.org:22"]
    assert found["a"] == {
        "ok": 2, "changed": 1, "unreachable": 0, "failed": 0, "skipped": 3, "rescued": 0, "ignored": 0,
    }  # fmt: skip
    assert found["web-1.example.org:22"]["unreachable"] == 1
    assert recap("") == recap("PLAY [all]\na : ok=1\n") == {}
