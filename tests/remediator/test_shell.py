"""The door that starts processes: real programs, no shell, a time limit that holds for the whole process group."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from remediator.errors import ActionFailed, Refused
from remediator.policy import Command, Policy
from remediator.shell import KEPT_OUTPUT, MOST_OUTPUT, Finished, run_command
from selfheal.common.processes import read_process


def policy_for(*argv: str, timeout: float = 30.0) -> Policy:
    """Return a policy whose service `web` is started by `argv`."""
    return Policy(commands=(Command("web", argv, argv, argv, timeout),), source="policy.yml")


def run_python(code: str, *arguments: str, timeout: float = 20.0, limit: float = 30.0) -> Finished:
    """Run a Python program through the door."""
    return run_command(
        policy_for(sys.executable, "-c", code, *arguments, timeout=limit), "web", "start", timeout, time.monotonic
    )


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended (a zombie has), at most ten seconds."""
    deadline = time.monotonic() + 10
    while (process := read_process(Path("/proc"), pid)) is not None and not process.is_zombie:
        assert time.monotonic() < deadline, f"pid {pid} is still there"
        os.sched_yield()


def test_a_command_ends_with_its_code_and_output() -> None:
    finished = run_python("import sys; print('hello'); print('world', file=sys.stderr, flush=True); sys.exit(3)")

    assert finished.code == 3
    assert not finished.ok
    assert sorted(finished.output.split()) == ["hello", "world"]
    assert finished.why_ended is None


def test_a_command_with_code_0_is_ok() -> None:
    assert run_python("pass").ok


def test_only_what_the_policy_names_is_started() -> None:
    with pytest.raises(Refused, match="service '/bin/sh' is not permitted"):
        run_command(policy_for("/bin/true"), "/bin/sh", "start", 5.0, time.monotonic)
    with pytest.raises(Refused, match="has no command 'argv'"):
        run_command(policy_for("/bin/true"), "web", "argv", 5.0, time.monotonic)


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = [f"$(touch {canary})", f"; touch {canary} #", f"`touch {canary}`", "a b", "*", "\n", "'\""]

    finished = run_python("import sys, json; print(json.dumps(sys.argv[1:]))", *hostile)

    assert json.loads(finished.output) == hostile
    assert not canary.exists()


def test_nothing_of_our_environment_input_or_folder_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_SECRET", "hush")
    code = "import os, sys; print(sorted(os.environ), repr(sys.stdin.read()), os.getcwd(), os.getsid(0) == os.getpid())"

    assert run_python(code).output == "['HOME', 'LANG', 'PATH'] '' / True"


def test_no_open_file_of_ours_is_passed_on(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        finished = run_python("import os, sys; os.fstat(int(sys.argv[1]))", str(file.fileno()))

    assert finished.code == 1
    assert "Bad file descriptor" in finished.output


@pytest.mark.parametrize(("timeout", "limit"), [(0.5, 30.0), (30.0, 0.5)], ids=["the step's", "the policy's"])
def test_a_command_that_takes_too_long_is_ended_with_its_process_group(
    tmp_path: Path, timeout: float, limit: float
) -> None:
    code = (
        "import os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}')\n"
        "signal.pause()"
    )

    begun = time.monotonic()
    # long enough for an interpreter to start on a busy machine, short against the other limit
    finished = run_python(code, str(tmp_path / "pids"), timeout=timeout * 4, limit=limit * 4)

    assert finished.code is None
    assert finished.why_ended == "it took too long"
    assert time.monotonic() - begun < 20
    for pid in (tmp_path / "pids").read_text().split():
        wait_until_gone(int(pid))


def test_a_program_that_stays_behind_does_not_hold_us_up(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
    )

    finished = run_python(code, str(tmp_path / "pid"))

    stayed = int((tmp_path / "pid").read_text())
    assert finished.ok
    os.kill(stayed, signal.SIGKILL)
    wait_until_gone(stayed)


def test_of_much_output_the_end_is_kept_and_the_cut_is_marked() -> None:
    finished = run_python(f"print('a' * {KEPT_OUTPUT} + 'END')")

    assert finished.output.startswith("…a")
    assert finished.output.endswith("END")
    assert len(finished.output) <= KEPT_OUTPUT + 1


def test_a_command_that_floods_is_ended() -> None:
    finished = run_python(f"import sys\nwhile True: sys.stdout.write('a' * {1 << 20})", timeout=30.0)

    assert finished.why_ended == f"it wrote more than {MOST_OUTPUT} bytes"


def test_output_that_is_no_text_is_still_told() -> None:
    assert run_python("import sys; sys.stdout.buffer.write(b'\\xff\\0ok')").output == "��ok"


@pytest.mark.parametrize("program", ["/nonexistent/program", "/etc"])
def test_a_program_that_cannot_be_started_is_a_known_failure(program: str) -> None:
    with pytest.raises(ActionFailed, match=f"cannot start {program}"):
        run_command(policy_for(program), "web", "start", 5.0, time.monotonic)
