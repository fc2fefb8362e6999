"""`selfheal up` as a newcomer runs it: real programs, real faults, and not one process left afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from selfheal.common.clock import from_rfc3339
from selfheal.stack.patient import FAULTS
from tests.stack.support import http_status, wait_until
from tests.tools import tool

pytestmark = pytest.mark.acceptance

MARK = "SELFHEAL_ACCEPTANCE_MARK"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@dataclass
class Up:
    """One `selfheal up`, every process of which carries a mark in its environment."""

    folder: Path
    arguments: list[str]
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        tool("prometheus"), tool("alertmanager")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SELFHEAL_")}
        environment |= {MARK: self.mark, "LANG": "C.UTF-8"}
        code = "import sys; from selfheal.cli import main; sys.exit(main())"
        argv = [sys.executable, "-c", code, "up", "--state", str(self.folder / "state"), *self.arguments]
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(argv, stdout=out, stderr=err, env=environment)

    @property
    def out(self) -> str:
        """What it wrote to stdout so far."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """What it wrote to stderr so far."""
        return (self.folder / "err").read_text()

    def says(self, text: str, seconds: float = 60.0) -> None:
        """Wait until it has written `text`; fail with what it wrote instead, if it has ended."""
        wait_until(lambda: text in self.out + self.err or self.process.poll() is not None, seconds)
        assert text in self.out + self.err, self.out + self.err

    def processes(self) -> list[psutil.Process]:
        """Return every process that carries the mark."""
        return [process for process in psutil.process_iter() if self._is_marked(process)]

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return False

    def end(self) -> None:
        """End whatever is left, for the next test's sake."""
        self.process.kill()
        self.process.wait(10)
        for process in self.processes():
            process.kill()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Any]:
    started: list[Up] = []

    def start(*arguments: str) -> Up:
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        started.append(Up(folder, list(arguments)))
        return started[-1]

    yield start
    for running in started:
        running.end()


@pytest.mark.timeout(300)
def test_five_faults_are_healed_and_verified_and_nothing_else_is_touched(up: Any) -> None:
    running = up("--demo", "--until-healed", "5", "--json", "--lang", "en")

    code = running.process.wait(280)

    assert code == 0, running.err
    report = json.loads(running.out.splitlines()[-1])
    assert set(report) == {"healed", "faults", "bystanders_touched"}
    assert (report["healed"], report["bystanders_touched"]) == (5, 0)
    assert [(fault["fault"], fault["alert"], fault["playbook"]) for fault in report["faults"]] == [
        (fault.name, fault.alert, fault.playbook) for fault in FAULTS
    ]
    for fault in report["faults"]:
        assert set(fault) == {
            "fault",
            "alert",
            "playbook",
            "injected_at",
            "fired_at",
            "first_step_at",
            "verified_at",
            "verdict",
        }
        assert fault["verdict"] == "fixed"
        times = [fault[key] for key in ("injected_at", "fired_at", "first_step_at", "verified_at")]
        assert all(RFC3339.fullmatch(time) for time in times)
        moments = [from_rfc3339(time) for time in times]
        # an evaluation is stamped with the moment it was due, which may lie just before the injection
        assert moments[0] - 1.5 <= moments[1] <= moments[2] < moments[3]
    assert running.out.count("\n") == 1  # the account goes to stderr
    assert "5 of 5 faults healed" in running.err
    assert running.processes() == []


@pytest.mark.timeout(180)
def test_a_killed_remediator_is_restarted_it_says_so_and_the_fault_is_healed_all_the_same(up: Any) -> None:
    running = up("--demo", "--until-healed", "1", "--json", "--lang", "en")
    running.says("fault 1 of 5")
    remediator = next(process for process in running.processes() if process.cmdline()[1:3] == ["-m", "remediator"])

    remediator.kill()
    code = running.process.wait(120)

    assert code == 0, running.err
    assert "remediator ended by itself (code -9); starting it again in 0.5 s" in running.err
    assert "remediator was started again" in running.err
    assert json.loads(running.out.splitlines()[-1])["healed"] == 1
    assert running.processes() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_nothing_is_left_behind_while_a_fault_is_being_healed(up: Any, number: signal.Signals) -> None:
    running = up("--demo", "--lang", "en")
    running.says("fault 1 of 5")
    count = len(running.processes())

    running.process.send_signal(number)
    code = running.process.wait(30)

    # itself, four programs, the patient with four workers, three decoys
    assert count >= 13
    assert code == (0 if number == signal.SIGINT else -signal.SIGKILL), running.err
    wait_until(lambda: running.processes() == [], 10)


@pytest.mark.timeout(120)
def test_without_demo_this_host_is_only_watched_and_the_next_start_goes_on(up: Any) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody else has it: in use is all that is wanted
            taken.bind(("127.0.0.1", 9093))
            taken.listen()
        first = up("--lang", "en")
        first.says("Ctrl-C stops everything")
    state = first.folder / "state"
    policy, settings = state / "config/policy.yml", state / "config/remediator.yml"
    said = first.out
    first.process.send_signal(signal.SIGTERM)
    first_code = first.process.wait(30)
    token = (state / "config/api.token").read_text()

    second = up("--lang", "ko")
    second.says("Ctrl-C를 누르면")
    url = yaml.safe_load(settings.read_text())["prometheus"]["url"]
    answers = http_status(f"{url}/-/ready")
    second.process.send_signal(signal.SIGINT)
    second_code = second.process.wait(30)

    moved = re.search(r"port 9093 is in use, so alertmanager listens on (\d+)\n", said)
    assert moved is not None
    assert f"alertmanager is ready: http://127.0.0.1:{moved[1]}\n" in said
    assert f"The file to edit next, it says how: {policy}\n" in said
    assert (first_code, second_code, answers) == (0, 0, 200)
    assert yaml.safe_load(settings.read_text())["highest_mode"] == "observe"
    assert (state / "config/api.token").read_text() == token
    assert first.processes() + second.processes() == []


@pytest.mark.timeout(120)
def test_a_second_up_in_the_same_folder_says_who_holds_it_and_moves_no_port(up: Any) -> None:
    first = up("--demo", "--lang", "en")
    first.says("all is ready")
    folder = first.folder / "second"
    folder.mkdir()
    second = Up(folder, ["--state", str(first.folder / "state"), "--lang", "en"])
    code = second.process.wait(30)

    assert code == 1
    assert f"is in use by pid {first.process.pid}; stop it first" in second.err
    assert (first.folder / "state/demo").exists()
    assert not (first.folder / "state/demo.previous").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--until-healed", "1"], "--until-healed and --rounds need --demo"),
        (["--rounds", "2"], "--until-healed and --rounds need --demo"),
        (["--demo", "--until-healed", "6"], "at most 5 here; raise --rounds"),
        (["--demo", "--rounds", "2", "--until-healed", "11"], "at most 10 here; raise --rounds"),
        (["--demo", "--rounds", "0"], "'0' is not a whole number above 0"),
        (["--demo", "--until-healed", "many"], "'many' is not a whole number above 0"),
        (["--scrape-interval", "10ms"], "'10ms' is shorter than 1s"),
        (["--config.file", "x"], "unrecognized arguments: --config.file"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused_before_anything_starts(
    up: Any, arguments: list[str], complaint: str
) -> None:
    running = up(*arguments, "--lang", "en")

    code = running.process.wait(30)

    assert code == 2
    assert complaint in running.err
    assert not (running.folder / "state").exists()
