"""The director records what the remediator proves, waits for no fault for ever, and reports what it saw."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.rig import free_port
from selfheal.common.clock import to_rfc3339
from selfheal.stack.config import Settings, wanted_ports
from selfheal.stack.demo import GIVE_UP_AFTER, RUN_WITHIN, Director, Record
from selfheal.stack.events import FaultHealed, FaultInjected, FaultNotHealed, PatientWell, RemediationChanged
from selfheal.stack.follow import Follower, Unreachable
from selfheal.stack.layout import Layout
from selfheal.stack.patient import FAULTS
from selfheal.stack.patient.control import Refused, ask
from selfheal.stack.patient.decoys import Decoys
from tests.stack.support import wait_until

NOW = 1_800_000_000.0


class World:
    """A server that answers as the remediator, Prometheus and Alertmanager would: what the test says."""

    def __init__(self) -> None:
        self.remediations: dict[str, dict[str, Any]] = {}
        self.samples: list[Any] = [{}]
        self.ringing = False
        self.page = 200
        self.tokens: set[str] = set()
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer from the world's values."""
                world.tokens.add(self.headers.get("Authorization", ""))
                url = urlsplit(self.path)
                body = json.dumps(world.answer(url.path, parse_qs(url.query))).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        if path == "/api/v1/query":
            alerts = query["query"][0].startswith("ALERTS")
            return {"data": {"result": ([{}] if self.ringing else []) if alerts else self.samples}}
        if path == "/api/v2/alerts":
            return [{}] if self.ringing else []
        if path == "/api/v1/remediations":
            start = int(query.get("cursor", ["0"])[0])
            items = list(self.remediations.values())[start : start + self.page]
            more = start + self.page < len(self.remediations)
            return {"items": items, "next": str(start + self.page) if more else None}
        return self.remediations[path.rpartition("/")[2]]

    def remediate(self, number: int, fired: float, **changes: Any) -> None:
        """Put a remediation of fault `number` into the record."""
        fault = FAULTS[number]
        identifier = str(len(self.remediations) + 1) if "id" not in changes else changes["id"]
        self.remediations[identifier] = {
            "id": identifier,
            "playbook": fault.playbook,
            "target": "here/process_group:x",
            "state": "verifying",
            "reason": "allowed",
            "verdict": None,
            "started_at": to_rfc3339(fired + 0.1),
            "verified_at": None,
            "alert": {"alertname": fault.alert, "starts_at": to_rfc3339(fired)},
            "steps": [{"intent_at": to_rfc3339(fired + 0.05), "outcome": {"effects": []}}],
        } | changes


PROVEN = {"state": "watching", "verdict": "fixed", "verified_at": to_rfc3339(NOW + 9)}


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("sixteen-characters-or-more\n")
    return file


@pytest.fixture
def director(world: World, token: Path, tmp_path: Path) -> Iterator[Director]:
    layout = Layout(tmp_path)
    layout.patient.mkdir()
    port = free_port()
    argv = [sys.executable, "-m", "selfheal.stack.patient", str(layout.patient), "0123abcd", str(port)]
    patient = subprocess.Popen(argv)
    ports = dict.fromkeys(wanted_ports(True), world.port)
    decoys = Decoys(layout.patient, layout.decoys, "0123abcd", 9978)
    try:
        decoys.start()
        wait_until(lambda: decoys.ready and _runs(layout.patient))
        follower = Follower(f"http://127.0.0.1:{world.port}", token, 0.0)
        yield Director(Settings(layout, ports, 1.0, True, "0123abcd"), follower, decoys)
    finally:
        decoys.stop()
        patient.terminate()
        patient.wait(20)


def turn(director: Director, seconds: float) -> list[Any]:
    """Let the director go on `seconds` after the start."""
    director.follower.turn(seconds + 1, NOW + seconds)
    return director.turn(seconds, NOW + seconds)


def test_a_fault_begins_when_the_last_is_proven_and_its_alert_is_quiet(director: Director, world: World) -> None:
    began = turn(director, 0)
    world.ringing = True
    world.remediate(0, NOW + 2)
    waiting = turn(director, 3)
    world.remediate(0, NOW + 2, id="1", **PROVEN)
    proven = turn(director, 9)
    still_ringing = turn(director, 10)
    world.ringing = False
    next_one = turn(director, 11)

    assert began == [FaultInjected("memory_leak", 1, 5)]
    assert waiting == []
    assert proven == [FaultHealed("memory_leak", 9.0)]
    assert still_ringing == []
    assert next_one == [FaultInjected("zombies", 2, 5)]
    assert director.healed == 1


@pytest.mark.parametrize(
    ("changes", "answered"),
    [
        pytest.param({"verdict": "unproven", "state": "ineffective"}, True, id="not proven"),
        pytest.param({"verdict": "self_resolved", "verified_at": to_rfc3339(NOW + 9)}, True, id="healed by nobody"),
        pytest.param(PROVEN | {"playbook": "reap_zombies"}, False, id="by another playbook"),
        pytest.param(
            PROVEN | {"alert": {"alertname": "PatientMemoryLeak", "starts_at": to_rfc3339(NOW - 30)}},
            False,
            id="of an alert before the fault",
        ),
    ],
)
def test_what_is_no_proof_of_this_fault_counts_as_not_healed(
    director: Director, world: World, changes: dict[str, Any], answered: bool
) -> None:
    turn(director, 0)
    world.remediate(0, NOW + 2, **changes)

    in_time = turn(director, GIVE_UP_AFTER)
    too_late = turn(director, GIVE_UP_AFTER + 0.1)
    after = turn(director, GIVE_UP_AFTER + 0.2)

    assert in_time == []
    assert too_late == [FaultNotHealed("memory_leak", GIVE_UP_AFTER + 0.1, answered), FaultInjected("zombies", 2, 5)]
    assert after == []
    assert director.healed == 0


def test_a_proof_after_the_fault_was_given_up_is_reported_but_not_counted(director: Director, world: World) -> None:
    director.until_healed = 1
    turn(director, 0)
    world.remediate(0, NOW + 2)
    turn(director, GIVE_UP_AFTER + 1)
    world.remediate(0, NOW + 2, id="1", **PROVEN)

    report = director.report()

    assert (report.healed, report.reason) == (0, "stopped")
    assert report.as_json()["faults"][0]["verified_at"] == to_rfc3339(NOW + 9)


def test_it_ends_when_enough_faults_are_healed(director: Director, world: World) -> None:
    director.until_healed = 1
    turn(director, 0)
    world.remediate(0, NOW + 2, **PROVEN)

    ended = turn(director, 9)

    assert ended == [FaultHealed("memory_leak", 9.0), PatientWell(1, 5)]
    assert director.finished
    assert (director.report().healed, director.report().reason) == (1, "")


def test_it_ends_with_a_reason_when_no_fault_is_left_or_the_time_is_over(director: Director) -> None:
    director.until_healed = 5
    seconds = 0.0
    while not director.finished:
        turn(director, seconds)
        seconds += GIVE_UP_AFTER / 2 + 1

    assert (director.reason, seconds > RUN_WITHIN) == ("too_slow", True)
    assert len(director.records) == 5


def test_rounds_repeat_the_five_faults(director: Director) -> None:
    director.rounds = 2
    seconds = 0.0
    while not director.finished:
        turn(director, seconds)
        seconds += GIVE_UP_AFTER / 2 + 1

    assert [record.fault for record in director.records] == [*FAULTS, *FAULTS]
    assert director.reason == "not_healed"


def test_nothing_is_injected_into_a_patient_that_prometheus_does_not_see(director: Director, world: World) -> None:
    world.samples = []

    assert turn(director, 0) == []
    assert director.records == []


def test_a_patient_that_is_never_seen_is_the_reason_told(director: Director, world: World) -> None:
    world.samples = []
    director.until_healed = 1
    turn(director, 0)

    ended = turn(director, RUN_WITHIN + 1)
    report = director.report()

    assert ended == [PatientWell(0, 5)]
    assert (report.as_json(), report.reason) == ({"healed": 0, "faults": [], "bystanders_touched": 0}, "never_seen")


def test_without_the_remediators_record_nothing_is_healed_and_that_is_the_reason(
    director: Director, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    director.until_healed = 1
    turn(director, 0)
    world.remediate(0, NOW + 2, **PROVEN)
    stopped_early = director.finished
    turn(director, 9)
    monkeypatch.setattr(director.follower, "url", f"http://127.0.0.1:{free_port()}")

    report = director.report()

    assert (stopped_early, director.finished) == (False, True)
    assert (report.healed, report.reason, len(report.faults), report.bystanders) == (0, "no_record", 1, ())


def test_a_relapse_found_at_the_end_is_not_counted(director: Director, world: World) -> None:
    director.until_healed = 1
    turn(director, 0)
    world.remediate(0, NOW + 2, **PROVEN)
    turn(director, 9)
    world.remediate(0, NOW + 2, id="1", **PROVEN | {"verdict": "recurred"})

    report = director.report()

    assert (report.healed, report.reason) == (0, "relapsed")


def test_the_report_has_the_promised_keys_and_counts_bystanders(director: Director, world: World) -> None:
    turn(director, 0)
    foreign = {"kind": "process", "pid": 1, "start_ticks": 0, "group": "init"}
    steps = [{"intent_at": to_rfc3339(NOW + 2.05), "outcome": {"effects": [foreign]}}]
    world.remediate(0, NOW + 2, **PROVEN, steps=steps)
    turn(director, 9)
    (director.settings.layout.patient / "beside.dat").unlink()

    report = director.report()

    assert report.bystanders == (str(director.settings.layout.patient / "beside.dat"), str(foreign))
    assert report.as_json() == {
        "healed": 1,
        "faults": [
            {
                "fault": "memory_leak",
                "alert": "PatientMemoryLeak",
                "playbook": "patient_restart_leaking_worker",
                "injected_at": to_rfc3339(NOW),
                "fired_at": to_rfc3339(NOW + 2),
                "first_step_at": to_rfc3339(NOW + 2.05),
                "verified_at": to_rfc3339(NOW + 9),
                "verdict": "fixed",
            },
            # the next fault was begun by the same turn that saw the proof
            *[record.as_json() for record in director.records[1:]],
        ],
        "bystanders_touched": 2,
    }


def test_a_fault_that_never_fired_has_nulls() -> None:
    assert Record(FAULTS[0], NOW).as_json() == {
        "fault": "memory_leak",
        "alert": "PatientMemoryLeak",
        "playbook": "patient_restart_leaking_worker",
        "injected_at": to_rfc3339(NOW),
        "fired_at": None,
        "first_step_at": None,
        "verified_at": None,
        "verdict": None,
    }


def test_moves_are_told_once_and_the_past_is_not(world: World, token: Path) -> None:
    follower = Follower(f"http://127.0.0.1:{world.port}", token, 2.0)
    world.remediate(0, NOW)
    past = follower.turn(10.0, NOW)
    world.remediate(1, NOW)
    world.remediate(0, NOW, id="1", **PROVEN)
    too_early = follower.turn(11.9, NOW + 9)
    moved = follower.turn(12.0, NOW + 9)
    again = follower.turn(14.0, NOW + 9)

    assert (past, too_early, again) == ([], [], [])
    assert [(event.alert, event.state, event.seconds) for event in moved if isinstance(event, RemediationChanged)] == [
        ("PatientZombies", "verifying", 9.0),
        ("PatientMemoryLeak", "watching", 9.0),
    ]
    assert world.tokens == {"Bearer sixteen-characters-or-more"}


def test_what_was_touched_is_told_when_the_effects_have_ended(world: World, token: Path) -> None:
    follower = Follower(f"http://127.0.0.1:{world.port}", token, 1.0)
    follower.turn(1.0, NOW)
    first, second = {"kind": "process", "pid": 7, "group": "g"}, {"kind": "file", "path": "/x"}
    outcomes = [{"effects": [first]}, None, {"effects": [second]}]
    world.remediate(0, NOW, steps=[{"intent_at": None, "outcome": outcome} for outcome in outcomes])
    ended = follower.turn(2.0, NOW)
    world.remediate(0, NOW, id="1", **PROVEN)
    proven = follower.turn(3.0, NOW)

    assert [event.touched for event in ended if isinstance(event, RemediationChanged)] == [(first, second)]
    assert [event.touched for event in proven if isinstance(event, RemediationChanged)] == [()]


def test_the_whole_record_is_read_page_by_page(world: World, token: Path) -> None:
    world.page = 2
    for number in range(5):
        world.remediate(number, NOW)

    found = list(Follower(f"http://127.0.0.1:{world.port}", token, 1.0).details())

    assert [item["id"] for item in found] == ["1", "2", "3", "4", "5"]


def test_a_remediator_that_does_not_answer_gives_no_events_and_no_record(token: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        follower = Follower(f"http://127.0.0.1:{mute.getsockname()[1]}", token, 1.0)

        assert follower.turn(1.0, NOW) == []
        with pytest.raises(Unreachable):
            list(follower.details())


def _runs(folder: Path) -> bool:
    try:
        return ask(folder, "status") == "running"
    except Refused:
        return False
