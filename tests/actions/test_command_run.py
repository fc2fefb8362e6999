"""command.run with real programs: its plan, its check, its input, and what is known of one that had to be ended."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import About
from remediator.policy import Policy
from remediator.policy.values import NamedCommand, Parameter, ParameterType
from selfheal.common.clock import SystemClock
from tests.actions.about import ABOUT, Hands

TELL = "import json, sys; print(json.dumps([sys.argv[1:], sys.stdin.read()]))"
HANG = "import signal; print('begun', flush=True); signal.pause()"
SIZE = Parameter("size", ParameterType.NUMBER, at_most=10)


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", code, *arguments)


def hands(code: str = TELL, *arguments: str, **more: Any) -> Hands:
    return Hands(Policy(named=(NamedCommand("tidy", python(code, *arguments), **more),), source="policy.yml"))


def change(hands: Hands, **changes: Any) -> None:
    hands.policy = replace(hands.policy, named=(replace(hands.policy.named[0], **changes),))


def test_the_plan_names_the_command_and_gives_no_argv_away() -> None:
    made = hands(TELL, "--token", "s3cret", "{size}", parameters=(SIZE,))

    plan = made.plan("command.run", command="tidy", parameters={"size": 3})

    assert plan.items == ({"kind": "command", "command": "tidy", "parameters": {"size": 3}},)
    assert set(plan.detail) == {"command", "command_digest"}
    assert "s3cret" not in repr(plan)
    assert made.points == []


def test_it_runs_once_with_its_parameters_and_keeps_what_it_said() -> None:
    made = hands(TELL, "--size", "{size}", parameters=(SIZE,))

    outcome = made.run("command.run", made.plan("command.run", command="tidy", parameters={"size": 3}))

    assert outcome.ok
    assert outcome.effects == ({"kind": "command", "command": "tidy", "parameters": {"size": 3}},)
    assert json.loads(outcome.detail["output"]) == [["--size", "3"], ""]
    assert outcome.detail["code"] == 0
    assert made.points == ["effect_begun", "effect_done"]


@pytest.mark.parametrize("stdin", ["none", "alert", "plan"])
def test_what_it_reads_is_what_the_policy_says(stdin: str) -> None:
    made = hands(stdin=stdin)
    plan = made.plan("command.run", command="tidy")

    _, given = json.loads(made.run("command.run", plan).detail["output"])

    alert = dict(ABOUT.alert)
    assert given.count("\n") == (0 if stdin == "none" else 1)
    assert (json.loads(given) if given else None) == {
        "none": None,
        "alert": alert,
        "plan": {"alert": alert, "remediation": 17, "plan": {"items": list(plan.items), "detail": plan.detail}},
    }[stdin]


def test_an_exit_code_is_a_known_failure_with_what_it_may_have_done() -> None:
    made = hands("import sys; print('no room'); sys.exit(4)")

    outcome = made.run("command.run", made.plan("command.run", command="tidy"))

    assert (outcome.ok, outcome.detail["code"], outcome.detail["output"]) == (False, 4, "no room")
    assert len(outcome.effects) == 1
    assert "in_doubt" not in outcome.detail


def test_of_one_that_only_reads_nothing_is_called_touched() -> None:
    made = hands("import sys; sys.exit(1)", read_only=True)

    assert made.run("command.run", made.plan("command.run", command="tidy")).effects == ()


def test_one_that_never_ends_is_ended_and_its_outcome_is_unknown() -> None:
    made = hands(HANG)

    with pytest.raises(OutcomeUnknown, match="'tidy' was ended because it took too long; what it did by then is not"):
        made.run("command.run", made.plan("command.run", command="tidy"), timeout=2.0)


def test_one_that_floods_is_ended_with_the_child_that_it_left_behind(tmp_path: Path) -> None:
    told = str(tmp_path / "pid")
    code = (
        f"import os, signal\nif os.fork() == 0: open({told!r} + '.new', 'w').write(str(os.getpid())); signal.pause()\n"
    )
    wait = f"while not os.path.exists({told!r} + '.new') or not os.path.getsize({told!r} + '.new'): pass\n"
    made = hands(code + wait + "while True: print('x' * 4096)")

    with pytest.raises(OutcomeUnknown, match="was ended because it wrote more than 16777216 bytes") as caught:
        made.run("command.run", made.plan("command.run", command="tidy"), timeout=60.0)

    assert len(str(caught.value)) < 1_000
    assert _is_gone(int((tmp_path / "pid.new").read_text()))


def _is_gone(pid: int) -> bool:
    """Wait until a process runs no more; one that nobody reaps is a zombie."""
    stat, clock = Path(f"/proc/{pid}/stat"), SystemClock()
    end_at = clock.monotonic() + 20
    while clock.monotonic() < end_at:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        os.sched_yield()
    return False


@pytest.mark.parametrize(
    ("word", "effects", "doubt"), [("idempotent", 1, True), ("read_only", 0, None)], ids=["idempotent", "read_only"]
)
def test_by_the_policys_word_one_that_had_to_be_ended_has_failed(word: str, effects: int, doubt: object) -> None:
    made = hands(HANG, **{word: True})

    outcome = made.run("command.run", made.plan("command.run", command="tidy"), timeout=2.0)

    assert (outcome.ok, len(outcome.effects), outcome.detail.get("in_doubt")) == (False, effects, doubt)
    assert outcome.detail["why"] == "it took too long"


KILLED = "import os, signal; print('half'); os.kill(os.getpid(), signal.SIGKILL)"


def test_one_that_the_kernel_or_a_person_killed_is_as_open_as_one_that_had_to_be_ended() -> None:
    made = hands(KILLED)

    with pytest.raises(OutcomeUnknown, match="'tidy' was ended because it was killed by SIGKILL; what it did by then"):
        made.run("command.run", made.plan("command.run", command="tidy"))

    made = hands(KILLED, idempotent=True)
    outcome = made.run("command.run", made.plan("command.run", command="tidy"))

    assert (outcome.ok, outcome.detail["in_doubt"], outcome.detail["code"]) == (False, True, None)


def test_where_there_is_no_room_for_its_output_it_is_known_not_to_have_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hands(f"open({str(tmp_path / 'ran')!r}, 'w')")
    plan = made.plan("command.run", command="tidy")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    with pytest.raises(ActionFailed, match="no file for its output"):
        made.run("command.run", plan)
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_not_there_is_a_known_failure() -> None:
    made = hands()
    change(made, run=("/nonexistent/program",))

    with pytest.raises(ActionFailed, match="cannot start /nonexistent/program"):
        made.run("command.run", made.plan("command.run", command="tidy"))


def test_a_dry_run_runs_the_declared_check_and_nothing_else(tmp_path: Path) -> None:
    touch = f"open({str(tmp_path / 'ran')!r}, 'w')"
    check = python("import sys; print('would free', sys.argv[1], 'of', sys.stdin.read().strip()[:9])", "{size}")
    made = hands(touch, "{size}", parameters=(SIZE,), check=check, stdin="alert")

    plan = made.plan("command.run", command="tidy", parameters={"size": 3})

    assert len(plan.items) == 1
    assert plan.detail["checked"]["output"] == 'would free 3 of {"labels"'
    assert not (tmp_path / "ran").exists()


def test_a_check_that_says_so_leaves_nothing_to_do() -> None:
    made = hands(check=python("import sys; print('clean'); sys.exit(77)"))

    plan = made.plan("command.run", command="tidy")

    assert (plan.items, plan.detail["checked"]["output"]) == ((), "clean")


@pytest.mark.parametrize("code", ["import sys; sys.exit(1)", HANG], ids=["failed", "hangs"])
def test_a_check_that_fails_is_no_plan(code: str) -> None:
    made = hands(check=python(code))

    with pytest.raises(ActionFailed, match="the check of 'tidy' failed"):
        made.plan("command.run", command="tidy", timeout=2.0)


@pytest.mark.parametrize(
    "changes",
    [{"run": python("print(2)")}, {"read_only": True}, {"timeout": 1.0}, {"stdin": "alert"}],
    ids=["argv", "class", "timeout", "input"],
)
def test_a_command_that_changed_since_the_plan_is_not_run(changes: dict[str, Any]) -> None:
    made = hands()
    plan = made.plan("command.run", command="tidy")
    change(made, **changes)

    with pytest.raises(Refused, match="the policy's command 'tidy' has changed since this was planned"):
        made.run("command.run", plan)
    assert made.points == []


def test_a_command_that_the_policy_names_no_more_is_refused() -> None:
    made = hands()
    plan = made.plan("command.run", command="tidy")
    made.policy = replace(made.policy, named=())

    for act in (lambda: made.run("command.run", plan), lambda: made.plan("command.run", command="tidy")):
        with pytest.raises(Refused, match="command 'tidy' is not permitted"):
            act()
    assert made.points == []


def test_a_wrong_parameter_is_refused_by_the_dry_run_already() -> None:
    made = hands(TELL, "{size}", parameters=(SIZE,))

    with pytest.raises(Refused, match="parameter 'size' must be from 0 to 10"):
        made.plan("command.run", command="tidy", parameters={"size": 11})
    with pytest.raises(Refused, match="parameter 'size' is missing"):
        made.plan("command.run", command="tidy")


def test_what_is_done_by_hand_has_no_number_and_is_told_so() -> None:
    made = hands(stdin="plan")

    about = About(ABOUT.alert)
    outcome = made.run("command.run", made.plan("command.run", about=about, command="tidy"), about=about)

    assert json.loads(json.loads(outcome.detail["output"])[1])["remediation"] == 0
