"""The patient: every fault really happens, stops at its ceiling, and is cured by what the playbooks do."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from benchmarks.rig import free_port
from selfheal.stack.patient import (
    CEILING_FOLDER_BYTES,
    CEILING_RESIDENT_BYTES,
    CEILING_SECONDS,
    CEILING_ZOMBIES,
    FAULTS,
)
from selfheal.stack.patient.control import Refused, ask
from selfheal.stack.patient.folder import FILE_BYTES, Folder
from selfheal.stack.patient.identities import ever_existed
from selfheal.stack.patient.parent import ILL_WORKER
from selfheal.stack.patient.worker import KINDS
from tests.stack.support import ended, http_status, wait_until

MIB = 1024 * 1024


@dataclass(frozen=True)
class Running:
    """A patient that runs as a process of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def identities(self) -> dict[str, tuple[int, int]]:
        """Return group → (pid, start_ticks) as written for the policy."""
        document = json.loads((self.folder / "identities.json").read_text())
        return {entry["group"]: (entry["pid"], entry["start_ticks"]) for entry in document["processes"]}

    def worker(self, kind: str) -> psutil.Process:
        """Return the worker as a process."""
        return psutil.Process(self.identities()[f"patient-{kind}"][0])

    def ctl(self, verb: str) -> int:
        """Run a short command as the policy has it; return its exit code."""
        argv = [sys.executable, "-m", "selfheal.stack.patient.ctl", str(self.folder), verb]
        return subprocess.run(argv, capture_output=True, timeout=20, check=False).returncode

    def answers(self) -> bool:
        """Say whether the web service answers."""
        return http_status(f"http://127.0.0.1:{self.port}/metrics", timeout=0.5) == 200


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Running]:
    # longer than a socket's path may be, as state folders are
    folder = tmp_path / ("long" * 30) / "patient"
    folder.parent.mkdir()
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        argv = [sys.executable, "-m", "selfheal.stack.patient", str(folder), "0123abcd", str(port)]
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        running = Running(folder, port, process)
        wait_until(lambda: _answer(folder, "status") == "running")
        yield running
    finally:
        process.terminate()
        process.wait(20)


def test_the_policy_file_names_exactly_the_workers_that_run(patient: Running) -> None:
    identities = patient.identities()

    workers = {child.pid for child in psutil.Process(patient.process.pid).children()}
    assert set(identities) == {"patient-leaker", "patient-sick-parent", "patient-spinner", "patient-web"}
    assert {pid for pid, _ in identities.values()} == workers
    assert all(_start_ticks(pid) == ticks for pid, ticks in identities.values())
    assert json.loads((patient.folder / "identities.json").read_text())["boot_id"] == _boot_id()
    assert (patient.folder / "identities.json").stat().st_mode & 0o777 == 0o600


def test_a_leak_grows_the_worker_and_ending_it_brings_a_small_one_at_once(patient: Running) -> None:
    sick = patient.worker("leaker")

    ask(patient.folder, "ill memory_leak")
    wait_until(lambda: sick.memory_info().rss > 40 * MIB)
    sick.terminate()
    wait_until(lambda: patient.identities().get("patient-leaker", (sick.pid, 0))[0] != sick.pid, 3)

    well = patient.worker("leaker")
    assert well.memory_info().rss < 40 * MIB
    assert ended(sick.pid)
    assert {sick.pid, well.pid} <= {pid for pid, _ in ever_existed(patient.folder)}


def test_the_sick_parent_keeps_its_zombies_until_somebody_sends_it_sigchld(patient: Running) -> None:
    parent = patient.worker("sick-parent")

    ask(patient.folder, "ill zombies")
    wait_until(lambda: _zombies(parent) == CEILING_ZOMBIES)
    pids = {child.pid for child in parent.children()}
    parent.send_signal(signal.SIGCHLD)
    wait_until(lambda: _zombies(parent) == 0)

    # it noted them, so that whoever reaps them is seen to have touched the patient only
    assert pids <= {pid for pid, _ in ever_existed(patient.folder)}
    assert patient.worker("sick-parent").pid == parent.pid


def test_zombies_of_an_ended_parent_are_reaped_by_the_patient(patient: Running) -> None:
    parent = patient.worker("sick-parent")
    ask(patient.folder, "ill zombies")
    wait_until(lambda: _zombies(parent) == CEILING_ZOMBIES)
    zombies = [child.pid for child in parent.children()]

    parent.kill()

    wait_until(lambda: all(ended(pid) for pid in zombies))


def test_a_spinning_worker_burns_cpu_and_ending_it_brings_a_calm_one(patient: Running) -> None:
    sick = patient.worker("spinner")

    ask(patient.folder, "ill cpu_spin")
    wait_until(lambda: sick.cpu_times().user > 0.5, 30)
    sick.terminate()
    wait_until(lambda: patient.identities().get("patient-spinner", (sick.pid, 0))[0] != sick.pid, 3)

    assert ended(sick.pid)
    assert patient.worker("spinner").is_running()


def test_a_hung_service_is_not_restarted_by_itself_but_by_stop_and_start(patient: Running) -> None:
    hung = patient.worker("web")
    assert patient.answers()

    ask(patient.folder, "ill service_down")
    wait_until(lambda: not patient.answers())
    codes_while_hung = (patient.ctl("status"), patient.worker("web").pid)
    codes = [patient.ctl(verb) for verb in ("stop", "status", "start", "status")]

    assert codes_while_hung == (3, hung.pid)
    assert codes == [0, 3, 0, 0]
    assert patient.answers()
    assert ended(hung.pid)


def test_a_killed_service_stays_down_until_it_is_started(patient: Running) -> None:
    killed = patient.worker("web")
    leaker = patient.worker("leaker")

    killed.kill()
    wait_until(lambda: not patient.answers())
    # a worker that ends afterwards is restarted, so the parent has had its turn
    leaker.terminate()
    wait_until(lambda: patient.identities().get("patient-leaker", (leaker.pid, 0))[0] != leaker.pid)
    answered_by_itself = patient.answers()
    patient.ctl("start")

    assert not answered_by_itself
    assert patient.answers()
    assert patient.worker("web").pid != killed.pid


def test_the_folder_fills_to_its_ceiling_and_a_cleaned_one_stays_clean(patient: Running) -> None:
    folder = patient.folder / "folder"

    ask(patient.folder, "ill folder_full")
    wait_until(lambda: _size(folder) == CEILING_FOLDER_BYTES, 30)
    for file in sorted(folder.iterdir())[:-1]:
        file.unlink()
    # another request is answered only after the turn in which the missing files are noticed
    _answer(patient.folder, "status")

    assert _size(folder) == FILE_BYTES


def test_an_unknown_request_is_refused_with_what_can_be_asked(patient: Running) -> None:
    with pytest.raises(Refused, match="start, stop, status or ill FAULT"):
        ask(patient.folder, "reboot now")
    with pytest.raises(Refused, match="no such fault"):
        ask(patient.folder, "ill everything")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
def test_no_worker_outlives_the_parent(patient: Running, number: signal.Signals) -> None:
    workers = [pid for pid, _ in patient.identities().values()]

    patient.process.send_signal(number)
    patient.process.wait(20)

    wait_until(lambda: all(ended(pid) for pid in workers))


def test_a_command_without_a_patient_fails_and_says_so(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "selfheal.stack.patient.ctl", str(tmp_path), "status"]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot reach the patient in {tmp_path}: ")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_worker_is_the_module_of_that_name(kind: str) -> None:
    assert import_module(KINDS[kind]).name == kind


def test_every_fault_has_a_worker_or_is_the_folders() -> None:
    assert {fault.name for fault in FAULTS} - set(ILL_WORKER) == {"folder_full"}
    assert len({fault.alert for fault in FAULTS}) == len(FAULTS)


def test_the_leak_stops_at_its_ceiling_and_is_given_back_when_its_time_is_over() -> None:
    # the same code, only faster: the step stays small against the ceiling
    with _worker("leaker", "leaker._STEP_SECONDS = 0.005; leaker.CEILING_SECONDS = 4.0") as process:
        sick = psutil.Process(process.pid)
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: sick.memory_info().rss > CEILING_RESIDENT_BYTES - 8 * MIB)
        highest = 0
        while (resident := sick.memory_info().rss) > 40 * MIB:
            highest = max(highest, resident)
            assert sick.is_running()

    assert highest <= CEILING_RESIDENT_BYTES
    assert CEILING_RESIDENT_BYTES == 256 * MIB


def test_a_spin_ends_when_its_time_is_over() -> None:
    with _worker("spinner", "spinner.CEILING_SECONDS = 1.5") as process:
        sick = psutil.Process(process.pid)
        before = sick.cpu_times().user
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: sick.cpu_times().user > before)

        wait_until(lambda: sick.status() == psutil.STATUS_SLEEPING)

    assert CEILING_SECONDS == 120.0


def test_zombies_are_reaped_when_their_time_is_over() -> None:
    with _worker("sick_parent", "sick_parent.CEILING_SECONDS = 1.0") as process:
        parent = psutil.Process(process.pid)
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: _zombies(parent) == CEILING_ZOMBIES)

        wait_until(lambda: _zombies(parent) == 0)

    assert CEILING_ZOMBIES == 20


def test_a_hung_service_answers_again_when_its_time_is_over() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with _worker("web", "web.CEILING_SECONDS = 1.5", port) as process:
        wait_until(lambda: http_status(url) == 200)
        process.send_signal(signal.SIGUSR1)
        wait_until(lambda: http_status(url, timeout=0.2) == 0)

        wait_until(lambda: http_status(url) == 200)


def test_a_folder_that_was_cleaned_once_can_fall_ill_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for start in (100.0, 200.0):
        folder.fall_ill(start)
        for step in range(40):
            folder.turn(start + step * 0.25)
        grown = _size(tmp_path)
        for file in sorted(tmp_path.iterdir())[:-1]:
            file.unlink()
        folder.turn(start + 11.0)

        assert grown == CEILING_FOLDER_BYTES


def test_the_folder_is_emptied_when_its_time_is_over(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.fall_ill(100.0)
    moments = [100.0 + step * 0.25 for step in range(40)]
    for moment in moments:
        folder.turn(moment)
    full = _size(tmp_path)

    just_before = folder.turn(100.0 + CEILING_SECONDS - 0.01)
    kept = _size(tmp_path)
    at_the_end = folder.turn(100.0 + CEILING_SECONDS)

    assert (full, kept) == (CEILING_FOLDER_BYTES, CEILING_FOLDER_BYTES)
    assert just_before is not None
    assert at_the_end is None
    assert _size(tmp_path) == 0


class _worker:
    """One worker alone, with some of its values changed."""

    def __init__(self, module: str, change: str, port: int = 0) -> None:
        code = (
            "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGCHLD})\n"
            f"from selfheal.stack.patient import {module}\n{change}\n"
            f"if {module!r} == 'leaker': leaker._STEP = 2 * 1024 * 1024\n"
            f"print('blocked', flush=True)\n{module}.live({port})\n"
        )
        self._argv = [sys.executable, "-c", code]

    def __enter__(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(self._argv, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"blocked\n"
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def _answer(folder: Path, request: str) -> str:
    try:
        return ask(folder, request)
    except Refused:
        return ""


def _zombies(parent: psutil.Process) -> int:
    try:
        return sum(child.status() == psutil.STATUS_ZOMBIE for child in parent.children())
    except psutil.NoSuchProcess:
        # one was reaped between the listing and the question
        return -1


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _start_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
