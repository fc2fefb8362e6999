"""service.restart and service.start of programs under a real supervisord."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from benchmarks.rig import free_port
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.model import Plan
from remediator.policy.addresses import read_address
from remediator.policy.managed import Named, Supervisor

CONFIG = """[unix_http_server]
file={folder}/s.sock
[inet_http_server]
port=127.0.0.1:{port}
username=ann
password=open-sesame
[supervisord]
logfile={folder}/s.log
pidfile={folder}/s.pid
childlogdir={folder}
nodaemon=true
user={user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:web]
command={python} -c "import signal; signal.pause()"
startsecs=0
[program:idle]
command={python} -c "import signal; signal.pause()"
startsecs=0
autostart=false
[program:broken]
command={python} -c "raise SystemExit(3)"
startsecs=20
startretries=0
autostart=false
[program:missing]
command=/nonexistent/program
autostart=false
[program:flapping]
command={python} -c "raise SystemExit(3)"
startsecs=20
startretries=1000
[program:stubborn]
command={python} -c "from signal import *; signal(SIGTERM, SIG_IGN); print('deaf', flush=True); pause()"
stdout_logfile={folder}/stubborn.out
startsecs=0
stopwaitsecs=25
autostart=false
[program:slow]
command={python} -c "from signal import *; signal(SIGTERM, SIG_IGN); print('deaf', flush=True); pause()"
stdout_logfile={folder}/slow.out
startsecs=0
stopwaitsecs=6
autostart=false
autorestart=false
[group:pair]
programs=one
[program:one]
command={python} -c "import signal; signal.pause()"
startsecs=0
[program:prometheus-like]
command={python} -c "import signal; signal.pause()"
startsecs=0
[program:wrapped]
command=/bin/sh -c "{folder}/prometheus; true"
stopasgroup=true
startsecs=0
"""
VERBS = ("restart", "start", "stop")


@pytest.fixture(scope="module")
def supervisord() -> Iterator[tuple[Path, int]]:
    """Run supervisord with programs of every kind; give its socket and its port."""
    with TemporaryDirectory(prefix="selfheal-sv-") as name:
        folder, port = Path(name).resolve(), free_port()
        text = CONFIG.format(folder=folder, python=sys.executable, port=port, user=os.geteuid())
        (folder / "s.conf").write_text(text)
        (folder / "prometheus").write_text(f"#!{sys.executable}\nimport signal; signal.pause()\n")
        (folder / "prometheus").chmod(0o755)
        argv = [sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "s.conf")]
        with (folder / "out").open("wb") as sink:
            # it tells of things that will change in Python, and none of them is ours
            process = subprocess.Popen([argv[0], "-W", "ignore", *argv[1:]], stdout=sink, stderr=sink)
        try:
            deadline = time.monotonic() + 30
            while not (folder / "s.sock").exists():
                assert process.poll() is None, (folder / "out").read_text()
                assert time.monotonic() < deadline, "supervisord never listened"
                os.sched_yield()
            yield folder / "s.sock", port
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def supervised(host: Any, supervisord: tuple[Path, int]) -> Any:
    """Return a host that permits all of the programs."""
    names = ("web", "idle", "broken", "missing", "flapping", "stubborn", "slow", "nobody")
    names += ("pair:one", "prometheus-like", "w*")
    host.permit(supervisor=Supervisor(str(supervisord[0]), programs=tuple(Named(name, VERBS) for name in names)))
    return host


@contextmanager
def stopping_supervisord(place: Path, then: str) -> Iterator[Path]:
    """Listen as a supervisord that stops a program, and to whatever comes then answers only an error, or nothing.

    With `lost` only the answer to the stop is an error.
    """
    fields = {"name": "web", "group": "web", "statename": "RUNNING", "pid": 0, "start": 7, "spawnerr": ""}
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            if stopped.is_set() and then != "lost":
                return self.send_error(int(then))
            value: object = fields
            if b"startProcess" in asked:
                value = True
                fields["statename"] = "RUNNING"
            if b"stopProcess" in asked:
                value = True
                fields["statename"] = "STOPPED"
                stopped.set()
                if then == "lost":
                    return self.send_error(500)
                if then == "gone":
                    place.unlink()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(xmlrpc.client.dumps((value,), methodresponse=True).encode())
            return None

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(place), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield place
        finally:
            server.shutdown()
            thread.join()


def wait_for(host: Any, name: str, state: str) -> Plan:
    """Wait until supervisord tells that state, and return the plan of a restart then."""
    deadline = time.monotonic() + 30
    while True:
        plan: Plan = host.plan("service.restart", program=name)
        if plan.detail["statename"] == state:
            return plan
        assert time.monotonic() < deadline, plan.detail
        os.sched_yield()


def test_a_running_program_is_restarted_and_runs_as_another_process(supervised: Any) -> None:
    plan = wait_for(supervised, "web", "RUNNING")

    outcome = supervised.run("service.restart", plan)

    assert [item["verb"] for item in plan.items] == ["stop", "start"]
    assert outcome.ok
    assert [effect["verb"] for effect in outcome.effects] == ["stop", "start"]
    assert outcome.detail["statename"] == "RUNNING"
    assert outcome.detail["pid"] not in (0, plan.detail["pid"])
    assert not Path(f"/proc/{plan.detail['pid']}").exists()
    assert supervised.points == ["effect_begun", "effect_done"]


def test_the_plan_is_bound_to_the_run_that_is_there(supervised: Any) -> None:
    first = wait_for(supervised, "pair:one", "RUNNING")
    supervised.run("service.restart", first)
    supervised.points.clear()

    with pytest.raises(Refused, match="program 'pair:one' is not in the run that was planned"):
        supervised.run("service.restart", first)

    assert supervised.points == []


def test_a_program_that_does_not_run_is_started_and_that_is_taken_back(supervised: Any) -> None:
    plan = supervised.plan("service.start", program="idle")
    outcome = supervised.run("service.start", plan)

    assert [item["verb"] for item in plan.items] == ["start"]
    assert outcome.ok
    assert supervised.plan("service.start", program="idle").items == ()

    dispatch = supervised.dispatch()
    undone = dispatch.undo("web-1", "service.start", plan, outcome, 20.0)

    assert undone.ok
    assert supervised.plan("service.start", program="idle").detail["statename"] == "STOPPED"
    assert dispatch.undo("web-1", "service.start", plan, outcome, 20.0).detail["why"].endswith("does not run any more")


def test_what_somebody_else_started_is_not_stopped(supervised: Any) -> None:
    plan = supervised.plan("service.start", program="idle")
    outcome = supervised.run("service.start", plan)
    again = supervised.run("service.restart", supervised.plan("service.restart", program="idle"))

    with pytest.raises(Refused, match="is not in the run that we started"):
        supervised.dispatch().undo("web-1", "service.start", plan, outcome, 20.0)
    supervised.dispatch().undo("web-1", "service.start", plan, again, 20.0)


@pytest.mark.parametrize(("name", "why"), [("broken", "(abnormal_termination|spawn_error)"), ("missing", "no_file")])
def test_a_program_that_cannot_be_started_is_a_known_failure(supervised: Any, name: str, why: str) -> None:
    with pytest.raises(ActionFailed, match=f"program '{name}' was not started: {why}"):
        supervised.run("service.start", supervised.plan("service.start", program=name), timeout=40.0)


def test_a_program_that_has_given_up_is_started_anew(supervised: Any) -> None:
    plan = supervised.plan("service.start", program="broken")
    with pytest.raises(ActionFailed):
        supervised.run("service.start", plan, timeout=40.0)

    plan = wait_for(supervised, "broken", "FATAL")

    assert [item["verb"] for item in plan.items] == ["start"]


def test_a_program_that_is_tried_again_and_again_is_stopped_first(supervised: Any) -> None:
    plan = wait_for(supervised, "flapping", "BACKOFF")

    assert [item["verb"] for item in plan.items] == ["stop", "start"]
    assert supervised.plan("service.start", program="flapping").items == ()

    outcome = supervised.run("service.restart", plan, timeout=40.0)

    assert not outcome.ok
    assert [effect["verb"] for effect in outcome.effects] == ["stop"]
    assert "fault" in outcome.detail["why"]


def start_deaf(host: Any, folder: Path, name: str) -> Plan:
    """Start a program that no SIGTERM ends, wait until it is deaf to it, and return the plan of a restart then."""
    host.run("service.start", host.plan("service.start", program=name))
    deadline = time.monotonic() + 30
    while "deaf" not in (folder / f"{name}.out").read_text():
        assert time.monotonic() < deadline
        os.sched_yield()
    return wait_for(host, name, "RUNNING")


def test_a_program_that_ends_late_is_started_all_the_same(
    supervised: Any, supervisord: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.actions._services.supervisor.LEAST_SECONDS", 0.5)
    plan = start_deaf(supervised, supervisord[0].parent, "slow")

    # it ends after six seconds, which is more than half of the time
    outcome = supervised.run("service.restart", plan, timeout=11.8)

    assert outcome.ok
    assert [effect["verb"] for effect in outcome.effects] == ["stop", "start"]
    assert outcome.detail["pid"] not in (0, plan.detail["pid"])
    os.kill(outcome.detail["pid"], 9)


def test_a_stop_that_hangs_has_an_unknown_outcome(
    supervised: Any, supervisord: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remediator.actions._services.supervisor.LEAST_SECONDS", 1.0)
    plan = start_deaf(supervised, supervisord[0].parent, "stubborn")

    with pytest.raises(OutcomeUnknown, match="no answer in time; program 'stubborn' is STOPPING and was not started"):
        supervised.run("service.restart", plan, timeout=2.0)
    with pytest.raises(ActionFailed, match="program 'stubborn' is STOPPING"):
        supervised.plan("service.restart", program="stubborn")

    os.kill(plan.detail["pid"], 9)


def test_an_unknown_program_or_group_is_a_known_failure(supervised: Any) -> None:
    with pytest.raises(ActionFailed, match="there is no program 'nobody'"):
        supervised.plan("service.restart", program="nobody")


def test_a_pattern_of_programs_does_not_reach_into_groups(supervised: Any) -> None:
    assert supervised.plan("service.restart", program="web").items
    with pytest.raises(Refused, match="program 'wide:one' is not permitted"):
        supervised.plan("service.restart", program="wide:one")


def test_what_is_not_permitted_is_refused(supervised: Any) -> None:
    for name, why in (
        ("db", "program 'db' is not permitted; list it under supervisor"),
        ("pair:two", "is not permitted"),
        ("pair:*", "is no name of a supervised program"),
        ("<x/>", "is no name of a supervised program"),
        ("prometheus-like", "belongs to the monitoring itself"),
    ):
        with pytest.raises(Refused, match=why):
            supervised.plan("service.restart", program=name)
    supervised.permit(supervisor=Supervisor(supervised.policy.supervisor.socket, programs=(Named("web", ("start",)),)))
    with pytest.raises(Refused, match="'restart' is not permitted for program 'web'; there are start"):
        supervised.plan("service.restart", program="web")


def test_a_program_with_the_monitoring_below_it_is_never_touched(supervised: Any) -> None:
    deadline = time.monotonic() + 30

    # before the shell has started it there is nothing of the monitoring in it
    with pytest.raises(Refused, match=r"program 'wrapped' is not touched: pid .* belongs to the monitoring itself"):
        while time.monotonic() < deadline:
            supervised.plan("service.restart", program="wrapped")
            os.sched_yield()


def test_a_program_whose_process_cannot_be_seen_is_refused(supervised: Any, tmp_path: Path) -> None:
    wait_for(supervised, "web", "RUNNING")
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/self").symlink_to("77")
    dispatch = supervised.dispatch()
    dispatch._procfs = tmp_path / "proc"

    with pytest.raises(Refused, match="program 'web' is not touched: its process cannot be seen from here"):
        dispatch.plan("web-1", "service.restart", {"program": "web"}, 20.0)


def test_credentials_come_from_a_private_file(supervised: Any, supervisord: tuple[Path, int], tmp_path: Path) -> None:
    secret = tmp_path / "credentials"
    secret.write_text("ann:open-sesame\n")
    secret.chmod(0o600)
    url = read_address(f"http://127.0.0.1:{supervisord[1]}")
    supervised.permit(supervisor=Supervisor("", url, str(secret), (Named("web", VERBS),)))

    assert supervised.plan("service.restart", program="web").detail["program"] == "web"

    secret.write_text("ann:wrong\n")
    with pytest.raises(ActionFailed, match="wants other credentials") as wrong:
        supervised.plan("service.restart", program="web")
    assert "ann" not in str(wrong.value)

    secret.chmod(0o644)
    with pytest.raises(ActionFailed, match="chmod"):
        supervised.plan("service.restart", program="web")


def test_a_supervisord_that_does_not_listen_is_a_known_failure(host: Any, tmp_path: Path) -> None:
    host.permit(supervisor=Supervisor(str(tmp_path / "none.sock"), programs=(Named("web", VERBS),)))

    with pytest.raises(ActionFailed, match=r"none\.sock cannot be reached"):
        host.plan("service.restart", program="web")


@pytest.mark.parametrize("then", ["gone", "500", "401"])
def test_after_the_stop_a_start_that_fails_is_told_with_what_was_done(host: Any, tmp_path: Path, then: str) -> None:
    with TemporaryDirectory(prefix="selfheal-sv-") as name, stopping_supervisord(Path(name) / "s.sock", then) as place:
        host.permit(supervisor=Supervisor(str(place), programs=(Named("web", VERBS),)))
        plan = host.plan("service.restart", program="web")

        # that it was stopped must not be forgotten: a known failure would say that nothing was done
        with pytest.raises(OutcomeUnknown, match=r"was begun|HTTP 500"):
            host.run("service.restart", plan)


def test_what_was_stopped_is_started_although_the_answer_was_lost(host: Any) -> None:
    with TemporaryDirectory(prefix="selfheal-sv-") as name, stopping_supervisord(Path(name) / "s", "lost") as place:
        host.permit(supervisor=Supervisor(str(place), programs=(Named("web", VERBS),)))

        outcome = host.run("service.restart", host.plan("service.restart", program="web"))

    assert outcome.ok
    assert [effect["verb"] for effect in outcome.effects] == ["stop", "start"]
