"""The deployment collector: each kind of part against a real socket, engine, bus or server; the rule of the whole."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from jeepney import HeaderFields, Message, Parser, new_error, new_method_return

from exporter.collectors import deployment
from exporter.config import make_parser
from exporter.deployment.containers import judge_container
from exporter.deployment.listeners import find_listener, is_bound, parse_bound, parse_unix
from exporter.deployment.model import Container, Finding, Listener, Part, State, Unit, judge
from exporter.deployment.units import find_units, judge_unit
from exporter.deployment.versions import pick_version
from exporter.deployment.written import parse_listener
from exporter.paths import Paths
from exporter.probe.model import ProbeError
from exporter.settings import IncompleteError, Settings
from selfheal.common.clock import SystemClock
from tests.exporter.trees import values

TCP_HEAD = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


@contextmanager
def serving(answer: Callable[[str], tuple[int, bytes]], path: Path | None = None) -> Iterator[str]:
    """Answer GET on a free port, or a Unix socket, from a thread; gives the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "-"

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    if path is None:
        server: socketserver.BaseServer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        address = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[index]
    else:
        server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        address = str(path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def bus(path: Path, units: dict[str, tuple[str, str, str]], error: str | None = None) -> Iterator[None]:
    """Speak D-Bus on a socket as far as one question to systemd needs it."""

    class Handler(socketserver.StreamRequestHandler):
        # nothing read ahead: messages follow the lines
        rbufsize = 0

        def handle(self) -> None:
            self.rfile.read(1)
            while not (line := self.rfile.readline()).startswith(b"BEGIN"):
                if not line:
                    return
                self.wfile.write(b"OK 0123456789abcdef\r\n" if line.startswith(b"AUTH EXTERNAL") else b"REJECTED\r\n")
            parser = Parser()
            serial = 0
            while data := self.request.recv(4096):
                parser.add_data(data)
                while (message := parser.get_next_message()) is not None:
                    serial += 1
                    self.wfile.write(self.answer(message).serialise(serial=serial))

        def answer(self, message: Message) -> Message:
            member = message.header.fields[HeaderFields.member]
            if member == "Hello":
                return new_method_return(message, "s", (":1.1",))
            assert member == "ListUnitsByNames"
            if error is not None:
                return new_error(message, error)
            rows = [
                (name, "", *units.get(name, ("not-found", "inactive", "dead")), "", "/", 0, "", "/")
                for name in message.body[0]
            ]
            return new_method_return(message, "a(ssssssouso)", (rows,))

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def page_of(config: Path, rootfs: Path, procfs: Path = Path("/proc")) -> dict[str, str]:
    """Build the collector as `--once` does and return its first page."""
    flags = make_parser().parse_args(["--collector.deployment.config", str(config)])
    collect = deployment.create(Settings(Paths(procfs=procfs, rootfs=rootfs), SystemClock(), flags, once=True))
    with closing(collect):
        return values(collect())


def state_of(page: dict[str, str], name: str, metric: str = "selfheal_deployment_state") -> str:
    """Return the one state that is 1."""
    states = [s for s in State if page[f'{metric}{{{name},state="{s}"}}'] == "1"]
    assert len(states) == 1, states
    return str(states[0])


def test_everything_in_its_place_is_healthy_and_one_part_after_the_other_is_missed(tmp_path: Path) -> None:
    (tmp_path / "run/dbus").mkdir(parents=True)
    (tmp_path / "VERSION").write_text("1.4.2\n")
    running = json.dumps({"State": {"Status": "running"}}).encode()
    engine = {"/containers/shop-db/json": (200, running)}
    told = {"version": "1.4.2"}
    units = {"shop.service": ("loaded", "active", "running")}
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        stack.enter_context(bus(tmp_path / "run/dbus/system_bus_socket", units))
        stack.enter_context(serving(lambda path: engine.get(path, (404, b"{}")), tmp_path / "run/docker.sock"))
        url = stack.enter_context(serving(lambda path: (200, json.dumps({"build": told}).encode())))
        config = write(
            tmp_path / "deployment.yml",
            f"""
deployments:
  shop:
    parts:
      - unit: shop.service
      - listen: tcp:{port}
      - container: shop-db
      - version: {{url: {url}/version, field: build.version, expect_file: VERSION}}
        name: api
        needed: false
""",
        )

        healthy = page_of(config, tmp_path)
        told["version"] = "1.4.1"
        old = page_of(config, tmp_path)
        units["shop.service"] = ("loaded", "reloading", "reload")
        engine.clear()
        without_database = page_of(config, tmp_path)

    part = 'deployment="shop",kind="{}",part="{}"'
    assert state_of(healthy, 'deployment="shop"') == "healthy"
    for kind, name in (("unit", "shop.service"), ("listener", f"tcp:{port}"), ("container", "shop-db")):
        assert state_of(healthy, part.format(kind, name), "selfheal_deployment_part_state") == "healthy"
        assert healthy[f"selfheal_deployment_part_needed{{{part.format(kind, name)}}}"] == "1"
    assert healthy[f"selfheal_deployment_part_needed{{{part.format('version', 'api')}}}"] == "0"
    info = 'selfheal_deployment_version_info{deployment="shop",part="api",version="1.4.2",expected="1.4.2"}'
    assert healthy[info] == "1"
    stamp = 'selfheal_collector_refresh_timestamp_seconds{collector="deployment",source="shop"}'
    assert float(healthy[stamp]) > 1_700_000_000
    assert state_of(old, 'deployment="shop"') == "degraded"
    info = 'selfheal_deployment_version_info{deployment="shop",part="api",version="1.4.1",expected="1.4.2"}'
    assert old[info] == "1"
    assert state_of(without_database, 'deployment="shop"') == "unavailable"
    metric = "selfheal_deployment_part_state"
    assert state_of(without_database, part.format("container", "shop-db"), metric) == "unavailable"
    assert state_of(without_database, part.format("unit", "shop.service"), metric) == "degraded"


def test_a_part_that_cannot_be_asked_keeps_the_state_from_being_told(tmp_path: Path) -> None:
    config = write(tmp_path / "d.yml", "deployments: {shop: {parts: [{unit: a.service}, {container: db}]}}")
    flags = make_parser().parse_args(["--collector.deployment.config", str(config)])
    collect = deployment.create(Settings(Paths(rootfs=tmp_path), SystemClock(), flags, once=True))

    with closing(collect), pytest.raises(IncompleteError) as caught:
        collect()

    bus_path = tmp_path / "run/dbus/system_bus_socket"
    assert str(caught.value) == (
        f"shop: unit a.service: systemd cannot be asked: cannot connect to unix:path={bus_path}: "
        "No such file or directory; "
        "container db: no engine at /run/docker.sock or /var/run/docker.sock or /run/podman/podman.sock"
    )
    assert not [series for series in values(caught.value.families) if "state" in series]


def test_a_needed_part_that_is_missing_decides_although_another_is_not_known(tmp_path: Path) -> None:
    config = write(tmp_path / "d.yml", "deployments: {s: {parts: [{unit: a.service}, {listen: 'unix:/nowhere'}]}}")

    page = page_of(config, tmp_path)

    assert state_of(page, 'deployment="s"') == "unavailable"
    unknown = 'selfheal_deployment_part_state{deployment="s",kind="unit",part="a.service",state="'
    assert {value for series, value in page.items() if series.startswith(unknown)} == {"0"}


NEEDED, SPARE = (Part("unit", "a", Unit("a"), needed) for needed in (True, False))
UP, ODD, DOWN, UNKNOWN = State.HEALTHY, State.DEGRADED, State.UNAVAILABLE, None


@pytest.mark.parametrize(
    ("needed", "spare", "expected"),
    [
        (UP, UP, UP),
        (ODD, UP, ODD),
        (DOWN, UP, DOWN),
        (UNKNOWN, UP, UNKNOWN),
        (UP, ODD, ODD),
        (UP, DOWN, ODD),
        (UP, UNKNOWN, UNKNOWN),
        (ODD, UNKNOWN, ODD),
        (DOWN, UNKNOWN, DOWN),
        (UNKNOWN, DOWN, UNKNOWN),
        (UNKNOWN, UNKNOWN, UNKNOWN),
        (ODD, DOWN, ODD),
    ],
)
def test_the_state_of_the_whole(needed: State | None, spare: State | None, expected: State | None) -> None:
    for order in (1, -1):
        findings = [(NEEDED, Finding(needed, "")), (SPARE, Finding(spare, ""))][::order]

        assert judge(findings) is expected


@pytest.mark.parametrize(
    ("load", "active", "sub", "expected"),
    [
        ("loaded", "active", "running", Finding(State.HEALTHY, "is active (running)")),
        ("loaded", "active", "exited", Finding(State.HEALTHY, "is active (exited)")),
        ("loaded", "activating", "auto-restart", Finding(State.DEGRADED, "is activating (auto-restart)")),
        ("loaded", "deactivating", "stop", Finding(State.DEGRADED, "is deactivating (stop)")),
        ("loaded", "failed", "failed", Finding(State.UNAVAILABLE, "is failed (failed)")),
        ("loaded", "inactive", "dead", Finding(State.UNAVAILABLE, "is inactive (dead)")),
        ("not-found", "inactive", "dead", Finding(State.UNAVAILABLE, "is not-found")),
        ("masked", "inactive", "dead", Finding(State.UNAVAILABLE, "is masked")),
    ],
)
def test_the_state_of_a_unit(load: str, active: str, sub: str, expected: Finding) -> None:
    assert judge_unit(load, active, sub) == expected


def test_a_bus_that_answers_with_an_error_is_told(tmp_path: Path) -> None:
    with bus(tmp_path / "bus", {}, "org.freedesktop.DBus.Error.AccessDenied"):
        found = find_units(tmp_path / "bus", ["a.service"], 5)

    reason = "systemd cannot be asked: org.freedesktop.DBus.Error.AccessDenied"
    assert found == {"a.service": Finding(None, reason)}


def test_a_bus_that_never_answers_costs_only_its_time(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.bind(str(tmp_path / "bus"))
        silent.listen()

        found = find_units(tmp_path / "bus", ["a.service"], 0.1)

    reason = (
        f"systemd cannot be asked: cannot connect to unix:path={tmp_path / 'bus'}: Did not authenticate in 0.1 seconds"
    )
    assert found == {"a.service": Finding(None, reason)}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Status": "running"}, Finding(State.HEALTHY, "is running")),
        ({"Status": "running", "Health": None}, Finding(State.HEALTHY, "is running")),
        ({"Status": "running", "Health": {"Status": "healthy"}}, Finding(State.HEALTHY, "is running")),
        (
            {"Status": "running", "Health": {"Status": "starting"}},
            Finding(State.DEGRADED, "is running, its own check says starting"),
        ),
        (
            {"Status": "running", "Health": {"Status": "unhealthy"}},
            Finding(State.DEGRADED, "is running, its own check says unhealthy"),
        ),
        ({"Status": "restarting"}, Finding(State.UNAVAILABLE, "is restarting")),
        ({"Status": "paused"}, Finding(State.UNAVAILABLE, "is paused")),
        ({"Status": "exited"}, Finding(State.UNAVAILABLE, "is exited")),
    ],
)
def test_the_state_of_a_container(state: dict[str, Any], expected: Finding) -> None:
    assert judge_container(json.dumps({"State": state}).encode()) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, b"{}", "the engine at {} answered 500"),
        (200, b"[]", "the engine at {} answered what is no description of a container"),
        (200, b'{"State": {"Status": 3}}', "the engine at {} answered what is no description of a container"),
        (
            200,
            b'{"State": {"Status": "running", "Health": "x"}}',
            "the engine at {} answered what is no description of a container",
        ),
        (200, b"[" * 100_000, "the engine at {} answered what is no description of a container"),
        (200, b'{"State": "running"}', "the engine at {} answered what is no description of a container"),
        (200, b"x" * ((1 << 20) + 1), "the engine at {} cannot be asked (the body is larger than 1048576 bytes)"),
    ],
)
def test_an_engine_that_answers_nonsense_is_not_known(tmp_path: Path, status: int, body: bytes, expected: str) -> None:
    from exporter.deployment.containers import find_container

    wanted = Container("db", "/engine.sock")
    with serving(lambda path: (status, body), tmp_path / "engine.sock"):
        found = find_container(Paths(rootfs=tmp_path), wanted, 5, SystemClock())

    assert found == Finding(None, expected.format(tmp_path / "engine.sock"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((200, b'{"v": "2"}'), "runs 2, expected 1"),
        ((200, b'{"w": "2"}'), "{}/: the answer has no field v"),
        ((200, b'{"v": null}'), "{}/: the field v is neither text nor number"),
        ((200, b"<html>"), "{}/: the answer is no JSON"),
        ((503, b'{"v": "1"}'), "{}/ answered 503"),
        ((302, b'{"v": "1"}'), "{}/ answered 302"),
    ],
)
def test_why_a_version_is_not_the_expected_one(
    tmp_path: Path, answer: tuple[int, bytes], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda path: answer) as url:
        text = f"deployments: {{s: {{parts: [{{version: {{url: '{url}/', field: v, expect: '1'}}, name: api}}]}}}}"

        page = page_of(write(tmp_path / "d.yml", text), tmp_path)

    # there, but not as it should be; or not there
    assert state_of(page, 'deployment="s"') == ("degraded" if answer[0] == 200 else "unavailable")
    (record,) = [record for record in caplog.records if record.name == deployment.__name__]
    assert record.__dict__["reason"] == expected.format(url)
    assert record.__dict__["part"] == "version api"


def test_an_address_where_nobody_answers_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = f"deployments: {{s: {{parts: [{{version: {{url: 'http://127.0.0.1:{port}', expect: '1'}}}}]}}}}"

    page = page_of(write(tmp_path / "d.yml", text), tmp_path)

    assert state_of(page, 'deployment="s"') == "unavailable"
    assert not [series for series in page if "version_info" in series]


@pytest.mark.parametrize(
    ("begin", "told"),
    [
        (b"", "no answer in time"),
        (b"HTTP/1.1 200 OK\r\nX: ", "no answer in time"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "the body did not end in time"),
    ],
    ids=["status", "header", "body"],
)
def test_an_answer_that_drips_is_given_up_in_time(begin: bytes, told: str) -> None:
    from exporter.deployment.web import get

    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        sock, _ = server.accept()
        with sock:
            sock.sendall(begin)
            while not ended.wait(0.02):
                sock.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            with pytest.raises(ProbeError) as caught:
                get(f"http://127.0.0.1:{server.getsockname()[1]}/", 0.2, None, SystemClock())
        finally:
            ended.set()
            thread.join()

    # whichever of the two clocks was the first to say so
    assert str(caught.value) in (told, "it did not end in time")


def test_an_authority_that_cannot_be_read_says_nothing_about_the_service(tmp_path: Path) -> None:
    from exporter.deployment.model import Version
    from exporter.deployment.versions import find_version

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        found = find_version(Version(url, (), "1", ca_file=tmp_path / "none.pem"), 5, SystemClock())

    assert found.state is None
    assert found.reason == f"{url}: cannot read {tmp_path}/none.pem: no such file or directory"


def test_an_address_that_speaks_no_tls_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # a plain server spoken to in TLS
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        text = f"deployments: {{s: {{parts: [{{version: {{url: '{url}', expect: '1'}}}}]}}}}"

        page = page_of(write(tmp_path / "d.yml", text), tmp_path)
        thread.join()

    assert state_of(page, 'deployment="s"') == "unavailable"


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        (b"1.2.3\n", (), "1.2.3"),
        (b'{"v": 7}', ("v",), "7"),
        (b'{"a": {"b": "x"}}', ("a", "b"), "x"),
    ],
)
def test_a_version_is_picked(body: bytes, field: tuple[str, ...], expected: str) -> None:
    assert pick_version(body, field) == expected


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        (b"", (), "the version is empty or longer than 64 characters"),
        (b"1" * 65, (), "the version is empty or longer than 64 characters"),
        (b"\xff", (), "the answer is no text"),
        (b"[" * 100_000, ("v",), "the answer is no JSON"),
        (b'{"a": "x"}', ("a", "b"), "the answer has no field a.b"),
        (b'{"a": true}', ("a",), "the field a is neither text nor number"),
    ],
)
def test_why_a_version_cannot_be_picked(body: bytes, field: tuple[str, ...], expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        pick_version(body, field)

    assert str(caught.value) == expected


def test_real_sockets_of_every_kind_are_found_and_missed_once_closed(tmp_path: Path) -> None:
    procfs = Path("/proc")
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(tmp_path / "with blank.sock"))
        bound_only = find_listener(procfs, parse_listener(f"unix:{tmp_path}/with blank.sock"))
        unix.listen()
        wanted = [
            parse_listener(f"tcp:127.0.0.1:{tcp.getsockname()[1]}"),
            parse_listener(f"udp:{udp.getsockname()[1]}"),
            parse_listener(f"unix:{tmp_path}/with blank.sock"),
        ]
        there = [find_listener(procfs, listener) for listener in wanted]

    assert bound_only == Finding(State.UNAVAILABLE, "nobody listens")
    assert there == [Finding(State.HEALTHY, "is listened on")] * 3
    assert [find_listener(procfs, one) for one in wanted] == [Finding(State.UNAVAILABLE, "nobody listens")] * 3


BOUND = frozenset({("0.0.0.0", 80), ("127.0.0.1", 81), ("::", 82), ("::1", 83)})


@pytest.mark.parametrize(
    ("address", "port", "expected"),
    [
        (None, 80, True),
        (None, 83, True),
        (None, 84, False),
        ("10.0.0.1", 80, True),
        ("10.0.0.1", 81, False),
        ("127.0.0.1", 81, True),
        ("10.0.0.1", 82, True),
        ("::1", 82, True),
        ("::1", 83, True),
        ("::1", 80, False),
        ("10.0.0.1", 83, False),
    ],
)
def test_an_address_is_served_by_itself_or_by_all_of_its_kind(address: str | None, port: int, expected: bool) -> None:
    assert is_bound(BOUND, address, port) is expected


def test_tables_of_sockets_are_read_in_the_kernels_forms() -> None:
    rows = (
        b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0\n"
        b"   1: 0100007F:1F91 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4\n"
        b"   2: 00000000000000000000000001000000:1F92 00000000000000000000000000000000:0000 0A 0 0 0 0 0 3\n"
        b"   3: 0000000000000000FFFF00000100007F:1F93 00000000000000000000000000000000:0000 0A 0 0 0 0 0 4\n"
    )
    unix = (
        b"Num       RefCount Protocol Flags    Type St Inode Path\n"
        b"0000000000000000: 00000002 00000000 00010000 0001 01 11 /run/app.sock\n"
        b"0000000000000000: 00000002 00000000 00000000 0002 01 12 /run/log\n"
        b"0000000000000000: 00000003 00000000 00010000 0001 01 13\n"
        b"0000000000000000: 00000002 00000000 00010000 0001 01 14 @abstract\n"
    )

    assert parse_bound(TCP_HEAD + rows, b"0A") == {("127.0.0.1", 8080), ("::1", 8082), ("127.0.0.1", 8083)}
    assert parse_unix(unix) == {"/run/app.sock", "@abstract"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "the table of sockets cannot be read (No such file or directory)"),
        ({"tcp": b""}, "the table of sockets has no head"),
        ({"tcp": TCP_HEAD + b" 0: 01:50 0:0 0A\n"}, "the table of sockets holds '01:50', which is no address"),
    ],
)
def test_sockets_that_cannot_be_known(tmp_path: Path, files: dict[str, bytes], expected: str) -> None:
    (tmp_path / "net").mkdir()
    for name, data in files.items():
        (tmp_path / "net" / name).write_bytes(data)

    assert find_listener(tmp_path, Listener("tcp:80", "tcp", None, 80)) == Finding(None, expected)


def test_a_kernel_without_ipv6_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_bytes(TCP_HEAD)

    found = find_listener(tmp_path, Listener("tcp:80", "tcp", None, 80))

    assert found == Finding(State.UNAVAILABLE, "nobody listens")
