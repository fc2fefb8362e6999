"""Probes through the dispatch, as `diagnose:` runs them: what they see, how little they tell, what they never do."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import free_port
from remediator import probes
from remediator.actions import problems
from remediator.actions.local import LocalDispatch
from remediator.errors import ActionFailed, Refused, SourceUnavailable
from remediator.model import Alert
from remediator.playbooks.arguments import argument_faults, render_arguments
from remediator.playbooks.templates import TemplateRefused
from remediator.policy import Command, Policy, Root
from remediator.policy.addresses import read_address
from remediator.policy.values import NamedCommand, Parameter, ParameterType, Programs, Unit, Url
from remediator.probes import PROBES
from selfheal.common.clock import SystemClock
from selfheal.common.problems import ConfigError
from selfheal.common.shipped import shipped
from tests.docs.pages import table
from tests.redteam.policies import program


class Host:
    """Runs probes by a policy and a Prometheus that tests set."""

    def __init__(self) -> None:
        self.policy = Policy(source="policy.yml")
        self.series: list[tuple[dict[str, str], float]] = []
        self.asked: list[str] = []

    def question(self, expression: str) -> list[tuple[dict[str, str], float]]:
        self.asked.append(expression)
        if expression == "blind":
            raise SourceUnavailable("prometheus", "no answer in time")
        return self.series

    def probe(self, name: str, timeout: float = 20.0, **arguments: object) -> dict[str, Any]:
        dispatch = LocalDispatch(
            lambda: self.policy,
            {},
            SystemClock(),
            None,
            lambda point: pytest.fail(f"a probe reached {point}"),
            probes=lambda: PROBES,
            prometheus=self.question,
        )
        told = dispatch.probe("here", name, arguments, timeout)
        # it is kept as JSON, and short
        assert len(json.dumps(told, allow_nan=False)) < 64 * 1024
        return told


@pytest.fixture
def host() -> Host:
    return Host()


def test_every_probe_module_is_in_the_table_and_the_reference() -> None:
    modules = [
        importlib.import_module(f"remediator.probes.{found.name}") for found in pkgutil.iter_modules(probes.__path__)
    ]
    page = shipped("docs", "reference", "probes.md").read_text("utf-8")

    assert {module.name: module for module in modules} == dict(PROBES)
    rows = {row[0].strip("`"): row[1] for row in table(page)}
    assert set(rows) == set(PROBES)
    for name, probe in PROBES.items():
        assert all(f"`{argument}`" in rows[name] for argument in probe.arguments), name


def test_no_probe_declares_an_effect_or_can_signal_or_remove() -> None:
    for probe in PROBES.values():
        source = inspect.getsource(probe)  # type: ignore[arg-type]

        assert not hasattr(probe, "effect")
        assert not hasattr(probe, "plan")
        assert "remediator.signals" not in source
        assert ".remove(" not in source


def test_prometheus_is_asked_and_tells_so_many_elements(host: Host) -> None:
    host.series = [({"instance": str(number)}, float(number)) for number in range(60)]

    told = host.probe("prometheus", query="up")

    assert host.asked == ["up"]
    assert told["count"] == 60
    assert len(told["elements"]) == 50
    assert told["elements"][7] == {"labels": {"instance": "7"}, "value": "7"}


def test_values_that_are_no_json_are_told_as_text(host: Host) -> None:
    host.series = [({}, float("nan")), ({}, float("inf")), ({}, 0.1)]

    assert [element["value"] for element in host.probe("prometheus", query="x")["elements"]] == ["nan", "inf", "0.1"]


def test_a_prometheus_that_does_not_answer_is_a_known_failure(host: Host) -> None:
    with pytest.raises(ActionFailed, match="prometheus: no answer in time"):
        host.probe("prometheus", query="blind")


@pytest.fixture
def port() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(b"sick\0" + b"x" * 3_000)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def test_http_tells_the_status_and_how_the_answer_begins(host: Host, port: int) -> None:
    url = f"http://127.0.0.1:{port}/health"
    host.policy = Policy(urls=(Url(read_address(url), ("GET",)),))

    told = host.probe("http", url=url)

    assert told["status"] == 503
    assert told["body"].startswith("sick\N{REPLACEMENT CHARACTER}xxx")
    assert (len(told["body"]), told["cut"]) == (2_000, True)


def test_http_asks_only_by_get(host: Host, port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    host.policy = Policy(urls=(Url(read_address(url), ("POST",)),))

    with pytest.raises(Refused, match="GET is not permitted"):
        host.probe("http", url=url)


def test_tcp_tells_whether_somebody_answers(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        there = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        nobody = f"tcp://127.0.0.1:{free_port()}"
        host.policy = Policy(urls=tuple(Url(read_address(url), ("GET",)) for url in (there, nobody)))

        assert host.probe("tcp", address=there)["connected"] is True
        told = host.probe("tcp", address=nobody)

    assert told == {"connected": False, "why": f"{nobody}: cannot connect"}


@pytest.mark.parametrize("by", ["rss", "cpu"])
def test_the_largest_processes_are_told_without_their_arguments(host: Host, by: str) -> None:
    told = host.probe("process.top", by=by, count=3)

    assert len(told["processes"]) == min(3, told["count"])
    key = {"rss": "resident_bytes", "cpu": "cores"}[by]
    found = [process.get(key, 0) for process in told["processes"]]
    assert found == sorted(found, reverse=True)
    assert {"pid", "comm", "uid", "state", "resident_bytes", "threads"} <= set(told["processes"][0])
    assert not {"argv", "exe"} & set(told["processes"][0])


def test_a_busy_process_is_found(host: Host) -> None:
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            sum(range(1_000))

    thread = threading.Thread(target=burn, daemon=True)
    thread.start()
    try:
        told = host.probe("process.top", by="cpu", count=50)
    finally:
        stop.set()
        thread.join(10)

    (own,) = [process for process in told["processes"] if process["pid"] == os.getpid()]
    assert own["cores"] > 0.1


@pytest.mark.parametrize(
    ("probe", "arguments", "why"),
    [
        ("process.top", {"by": "name"}, "write rss or cpu"),
        ("process.top", {"count": 0}, "from 1 to 50"),
        ("process.top", {"count": 51}, "from 1 to 50"),
        ("process.top", {"by": "cpu", "count": 50}, None),
        ("service", {}, "add either service or unit"),
        ("service", {"service": "a", "unit": "a.service"}, "add either service or unit"),
        ("service", {"unit": "a.service"}, None),
        ("http", {}, "is missing"),
        ("http", {"url": "http://{{ $labels.instance }}/"}, "holds a template"),
        ("tcp", {"address": "tcp://{{ $labels.instance }}"}, "holds a template"),
        ("command", {"command": "x", "parameters": {"a": [1]}}, "is neither text nor a number"),
        ("command", {"command": "x", "parameters": "a"}, "no mapping"),
        ("command", {"command": "x", "parameters": {"a": "{{ $labels.instance | reverse }}"}}, "template is malformed"),
        ("command", {"command": "{{ $labels.x }}", "parameters": {"a": "{{ $labels.y }}"}}, None),
        ("prometheus", {"query": 'up{instance="{{ $labels.instance }}"}'}, None),
        ("prometheus", {"query": "{{ $labels.instance }}"}, "may stand only in a quoted matcher value"),
        ("prometheus", {"query": ""}, "is no expression"),
        ("disk", {"path": "/"}, "unknown argument"),
    ],
)
def test_what_is_wrong_with_a_probes_arguments_is_told_when_a_playbook_is_loaded(
    probe: str, arguments: dict[str, object], why: str | None
) -> None:
    found = [f"{what}; {remedy}" for _, what, remedy in argument_faults(PROBES[probe], arguments)]  # type: ignore[arg-type]

    if why is None:
        assert found == []
    else:
        assert any(why in fault for fault in found), found
    assert not [fault for fault in problems(PROBES[probe], {}) if fault.path and fault.what != "is missing"]  # type: ignore[arg-type]


def alert(**labels: str) -> Alert:
    return Alert("firing", {"alertname": "X", **labels}, {}, 0.0, "f")


def test_templates_of_a_probe_are_filled_in_once_and_quoted_where_that_is_needed() -> None:
    hostile = alert(x='a"} or up{', y="{{ $labels.x }}")
    query = {"query": 'up{x="{{ $labels.x }}"}'}
    parameters = {"command": "c", "parameters": {"p": "{{ $labels.y }}", "n": 5}}

    assert render_arguments(PROBES["prometheus"], query, hostile, "at") == {"query": 'up{x="a\\"} or up{"}'}  # type: ignore[arg-type]
    rendered = render_arguments(PROBES["command"], parameters, hostile, "at")  # type: ignore[arg-type]
    assert rendered["parameters"] == {"p": "{{ $labels.x }}", "n": 5}
    with pytest.raises(TemplateRefused, match=r"at\.parameters"):
        render_arguments(PROBES["command"], {"parameters": {"p": "{{ $labels.z }}"}}, hostile, "at")  # type: ignore[arg-type]


def test_a_service_tells_its_status_by_the_policys_command(host: Host) -> None:
    code = "import sys; print('x' * 3000, 'sick'); sys.exit(4)"
    other = ("/bin/false",)
    host.policy = Policy(commands=(Command("web", other, other, (sys.executable, "-c", code)),))

    told = host.probe("service", service="web")

    assert told["code"] == 4
    assert told["output"].endswith("x sick")
    assert len(told["output"]) == 2_000


def test_a_unit_tells_what_systemd_knows_and_only_its_status_is_needed(host: Host, tmp_path: Path) -> None:
    path = program(tmp_path / "systemctl", "import sys; print('ActiveState=failed\\nSubState=' + sys.argv[-1])")
    host.policy = Policy(units=(Unit("web.service", ("status",)),), programs=Programs(systemctl=str(path)))

    assert host.probe("service", unit="web.service") == {
        "code": 0,
        "unit": {"ActiveState": "failed", "SubState": "web.service"},
    }
    with pytest.raises(Refused, match="is not permitted"):
        host.probe("service", unit="db.service")


def test_a_service_that_hangs_is_ended_at_the_deadline(host: Host) -> None:
    argv = (sys.executable, "-c", "import signal; signal.pause()")
    host.policy = Policy(commands=(Command("web", argv, argv, argv),))
    begun = time.monotonic()

    told = host.probe("service", timeout=0.5, service="web")

    assert told["code"] is None
    assert told["why"] == "it took too long"
    assert time.monotonic() - begun < 10


def test_the_room_of_file_systems_is_told(host: Host) -> None:
    told = host.probe("disk", mountpoint="/")

    ((room),) = told["file_systems"]
    assert room["mountpoint"] == "/"
    assert room["bytes"] >= room["available_bytes"] > 0
    assert {found["type"] for found in host.probe("disk")["file_systems"]}.isdisjoint({"proc", "sysfs", "nfs"})


def test_a_mount_point_is_a_look_up_and_no_path(host: Host, tmp_path: Path) -> None:
    for path in (str(tmp_path), "/nowhere", "/proc/../"):
        with pytest.raises(ActionFailed, match="nothing is mounted at"):
            host.probe("disk", mountpoint=path)


def test_the_largest_files_of_a_root_are_told_and_left_where_they_are(host: Host, tmp_path: Path) -> None:
    root = tmp_path.resolve() / "root"
    (root / "sub").mkdir(parents=True)
    for number in range(25):
        (root / f"sub/f{number}").write_bytes(b"x" * number)
    (root / "link").symlink_to("/etc/passwd")
    host.policy = Policy(roots=(Root(str(root), 0.0),))

    told = host.probe("disk", mountpoint="/", root=str(root))["root"]

    assert (told["files"], told["bytes"]) == (25, sum(range(25)))
    assert [entry["path"] for entry in told["largest"]][:2] == ["sub/f24", "sub/f23"]
    assert len(told["largest"]) == 20
    assert told["left_out"] == {"not a regular file": 1}
    assert len(list((root / "sub").iterdir())) == 25


def test_only_a_command_that_is_marked_read_only_is_run(host: Host, tmp_path: Path) -> None:
    code = "import sys; print(sys.argv[1]); open(sys.argv[2], 'w')"
    run = (sys.executable, "-c", code, "{word}", str(tmp_path / "ran"))
    word = (Parameter("word", ParameterType.TEXT),)
    host.policy = Policy(named=(NamedCommand("tell", run, word),), source="policy.yml")

    with pytest.raises(Refused, match="is not marked read_only in"):
        host.probe("command", command="tell", parameters={"word": "hello"})
    assert not (tmp_path / "ran").exists()

    host.policy = Policy(named=(NamedCommand("tell", run, word, read_only=True),))

    assert host.probe("command", command="tell", parameters={"word": "hello"})["output"] == "hello"
    with pytest.raises(Refused, match="parameter 'word' begins with -"):
        host.probe("command", command="tell", parameters={"word": "-x"})


def test_wrong_arguments_are_refused_before_anything_is_looked_at(host: Host) -> None:
    with pytest.raises(ConfigError, match="write rss or cpu"):
        host.probe("process.top", by="name")
