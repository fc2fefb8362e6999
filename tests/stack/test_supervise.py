"""Supervision with real children: a crash is said and mended, and nothing is left behind, however it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfheal.common.clock import ManualClock
from selfheal.stack.events import ProgramDied
from selfheal.stack.supervise import LONGEST_PAUSE, STEADY_AFTER, Program, Supervisor, _Child
from tests.stack.support import ended, wait_until

READY = "import pathlib; pathlib.Path(READY).touch()\n"
PATIENTLY = f"{READY}import signal; signal.pause()\n"
STUBBORNLY = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}while True: signal.pause()\n"


class Supervised:
    """The driver as a process, with what it said so far."""

    def __init__(self, folder: Path, codes: dict[str, str]) -> None:
        programs = {name: f"READY = {str(folder / f'{name}.ready')!r}\n{code}" for name, code in codes.items()}
        self._out = folder / "out"
        argv = [sys.executable, str(Path(__file__).with_name("driver.py")), str(folder), json.dumps(programs)]
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(argv, stdout=out)

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return the events of that name so far."""
        lines = [json.loads(line) for line in self._out.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if line["event"] == event]

    def pids(self) -> list[int]:
        """Return every process below the driver."""
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    started: list[Supervised] = []

    def begin(**codes: str) -> Supervised:
        started.append(Supervised(tmp_path, codes))
        return started[-1]

    yield begin
    for supervised in started:
        supervised.process.kill()
        supervised.process.wait(10)


def test_a_child_that_dies_is_said_and_started_again(start: Any, tmp_path: Path) -> None:
    supervised = start(one=PATIENTLY, two=PATIENTLY)
    wait_until(lambda: len(supervised.said("ProgramReady")) == 2)
    first = {event["program"]: event["pid"] for event in supervised.said("ProgramStarted")}

    psutil.Process(first["one"]).kill()
    wait_until(lambda: len(supervised.said("ProgramRestarted")) == 1)

    again = supervised.said("ProgramRestarted")[0]
    assert supervised.said("ProgramDied") == [
        {"event": "ProgramDied", "program": "one", "code": -9, "restart_in": 0.5, "log": str(tmp_path / "one.log")}
    ]
    assert again["program"] == "one"
    assert again["pid"] != first["one"]
    assert psutil.Process(again["pid"]).is_running()
    assert psutil.Process(first["two"]).is_running()


def test_what_was_meant_for_another_daemon_reaches_no_program_and_what_collectors_read_does(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFHEAL_WEB_CONFIG_FILE", "tls.yml")
    monkeypatch.setenv("SELFHEAL_CONFIG_CHECK", "1")
    monkeypatch.setenv("SELFHEAL_COLLECTOR_TEXTFILE_DIRECTORY", "/texts")
    tell = "import os; print(sorted(name for name in os.environ if name.startswith('SELFHEAL_')), flush=True)\n"

    supervised = start(one=tell + PATIENTLY)
    wait_until(lambda: len(supervised.said("ProgramReady")) == 1)

    told = (tmp_path / "one.log").read_text()
    assert "SELFHEAL_COLLECTOR_TEXTFILE_DIRECTORY" in told
    assert "SELFHEAL_WEB_" not in told
    assert "SELFHEAL_CONFIG_" not in told


@pytest.mark.parametrize(
    ("lived", "deaths_before", "pause", "deaths"),
    [
        (1.0, 0, 0.5, 1),
        (1.0, 1, 1.0, 2),
        (1.0, 5, 16.0, 6),
        (1.0, 6, LONGEST_PAUSE, 7),
        (1.0, 60, LONGEST_PAUSE, 61),
        (STEADY_AFTER - 0.1, 5, 16.0, 6),
        (STEADY_AFTER, 5, 0.5, 1),
    ],
)
def test_the_pause_doubles_up_to_its_limit_and_starts_anew_after_a_steady_life(
    lived: float, deaths_before: int, pause: float, deaths: int, clock: ManualClock, tmp_path: Path
) -> None:
    program = Program("one", ("true",), tmp_path / "one.log", lambda: True)
    child = _Child(program, started=clock.monotonic(), ready=True, deaths=deaths_before)
    clock.advance(lived)

    event = Supervisor((program,), clock)._note_death(child, 1, clock.monotonic())

    assert event == ProgramDied("one", 1, pause, tmp_path / "one.log")
    assert (child.deaths, child.due) == (deaths, clock.monotonic() + pause)


def test_a_program_is_started_so_that_its_threads_keep_no_freed_memory(start: Any, tmp_path: Path) -> None:
    tell = f"import os, pathlib\npathlib.Path({str(tmp_path / 'told')!r}).write_text(os.environ['GLIBC_TUNABLES'])\n"
    supervised = start(one=f"{tell}{PATIENTLY}")
    wait_until(lambda: supervised.said("ProgramReady"))

    assert "glibc.malloc.tcache_count=0" in (tmp_path / "told").read_text()


def test_a_start_that_fails_half_way_names_the_program_shows_its_log_and_stops_the_others(start: Any) -> None:
    supervised = start(one=PATIENTLY, two="print('cannot open the store')\nraise SystemExit(4)")
    wait_until(lambda: supervised.process.poll() is not None)

    failed = supervised.said("StartFailed")
    assert [(event["program"], event["tail"]) for event in failed] == [("two", ["cannot open the store"])]
    assert all(ended(event["pid"]) for event in supervised.said("ProgramStarted"))


def test_a_program_that_is_no_executable_stops_what_was_started(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from selfheal.common.clock import SystemClock\n"
        "from selfheal.stack.supervise import Program, Supervisor\n"
        "log = Path(sys.argv[1])\n"
        "programs = (Program('one', ('sleep', '600'), log, lambda: True),\n"
        "            Program('two', ('/not/there',), log, lambda: True))\n"
        "supervisor = Supervisor(programs, SystemClock())\n"
        "try:\n"
        "    for event in supervisor.start(): print(event.pid, flush=True)\n"
        "finally: supervisor.stop(lambda: False, lambda seconds: None)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")], capture_output=True, text=True, timeout=30, check=False
    )

    assert "FileNotFoundError" in done.stderr
    assert [ended(int(pid)) for pid in done.stdout.split()] == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_ends_every_child(start: Any, number: signal.Signals) -> None:
    supervised = start(one=PATIENTLY, two=PATIENTLY)
    wait_until(lambda: len(supervised.said("ProgramReady")) == 2)
    pids = supervised.pids()

    supervised.process.send_signal(number)
    code = supervised.process.wait(10)

    assert code == 0
    assert len(pids) == 2
    assert all(ended(pid) for pid in pids)


def test_a_second_request_does_not_wait_for_a_stubborn_child(start: Any) -> None:
    supervised = start(one=STUBBORNLY, two=PATIENTLY)
    wait_until(lambda: len(supervised.said("ProgramReady")) == 2)
    pids = supervised.pids()
    two = next(event["pid"] for event in supervised.said("ProgramStarted") if event["program"] == "two")

    began = time.monotonic()
    supervised.process.send_signal(signal.SIGINT)
    # the first one has been acted on: what listens has ended
    wait_until(lambda: ended(two))
    supervised.process.send_signal(signal.SIGINT)
    code = supervised.process.wait(10)

    assert code == 0
    assert time.monotonic() - began < 5
    assert all(ended(pid) for pid in pids)


def test_children_of_a_killed_supervisor_die_with_it(start: Any) -> None:
    supervised = start(one=STUBBORNLY, two=PATIENTLY)
    wait_until(lambda: len(supervised.said("ProgramReady")) == 2)
    pids = supervised.pids()

    supervised.process.kill()
    supervised.process.wait(10)

    wait_until(lambda: all(ended(pid) for pid in pids), 5)
    assert len(pids) == 2


def test_an_orphan_in_a_session_of_its_own_is_ended_too(start: Any, tmp_path: Path) -> None:
    # a double fork, as daemons do
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        open({str(tmp_path / 'orphan')!r}, 'w').write(str(os.getpid())); time.sleep(600)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    supervised = start(one=code + PATIENTLY)
    orphan = tmp_path / "orphan"
    wait_until(lambda: orphan.exists() and orphan.read_text() != "")
    wait_until(lambda: len(supervised.said("ProgramReady")) == 1)

    supervised.process.terminate()
    supervised.process.wait(10)

    assert ended(int(orphan.read_text()))
