"""The server over real sockets: kept connections, bad requests, slow and too many clients."""

from __future__ import annotations

import gzip
import http.client
import io
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from prometheus_client.openmetrics.parser import text_fd_to_metric_families

from exporter.door import OpenDoor
from exporter.encode import Metric
from exporter.limits import Scrapes
from exporter.listening import open_listeners
from exporter.messages import Request, Response
from exporter.registry import Registry
from exporter.routes import Routes
from exporter.server import Limits, Server
from selfheal.common.clock import SystemClock
from tests.exporter.trees import values, wait_until

BIG = Metric("selfheal_thing", "gauge", "A thing.", ("number",)).of({(str(number),): number for number in range(200)})
ASK = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"


class Held:
    """A collector that answers when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.let_go = threading.Event()
        self.let_go.set()

    def collect(self) -> list[object]:
        """Answer when let go."""
        self.begun.release()
        self.let_go.wait(30)
        return []


@contextmanager
def serving(
    limits: Limits | None = None, held: Held | None = None, scrapes: Scrapes | None = None, listeners: int = 1
) -> Iterator[Server]:
    """Serve real pages on a free port."""
    server = Server(open_listeners([("127.0.0.1", 0)] * listeners), SystemClock(), limits)
    registry = Registry({"big": lambda: [BIG], "held": (held or Held()).collect}, SystemClock())  # type: ignore[dict-item]
    routes = Routes(registry, "/metrics", server.families, scrapes)
    thread = threading.Thread(target=server.serve, args=(routes.answer,))
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with ordinary limits."""
    with serving() as running:
        yield running


def connect(server: Server) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def read_answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer."""
    answer = http.client.HTTPResponse(sock)
    answer.begin()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def own(server: Server) -> dict[str, str]:
    """Read the server's own metrics."""
    return values(server.families())


def test_one_connection_serves_many_requests(server: Server) -> None:
    with connect(server) as sock:
        for path, status in (
            (b"/metrics", 200),
            (b"/-/healthy", 200),
            (b"/", 200),
            (b"/none", 404),
            (b"/metrics", 200),
        ):
            sock.sendall(ASK % path)
            found, headers, _ = read_answer(sock)
            assert (found, headers["connection"]) == (status, "keep-alive")
        assert own(server)["selfheal_exporter_http_connections"] == "1"


def test_requests_sent_together_are_answered_in_order(server: Server) -> None:
    with connect(server) as sock:
        sock.sendall(
            ASK % b"/-/healthy" + b"\r\n" + ASK % b"/none" + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        data = b"".join(iter(lambda: sock.recv(65536), b""))

    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"404", b"200"]
    assert data.index(b"is healthy") < data.index(b"no such page") < data.index(b"<h1>")


def test_a_request_may_come_in_pieces(server: Server) -> None:
    with connect(server) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in ASK % b"/-/healthy":
            sock.sendall(bytes([byte]))
        assert read_answer(sock)[0] == 200


PROMETHEUS_ACCEPT = (
    b"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    b"text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def test_openmetrics_is_given_to_whom_it_suits_best(server: Server) -> None:
    with connect(server) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: %b\r\n\r\n" % PROMETHEUS_ACCEPT)
        _, headers, page = read_answer(sock)
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*;q=0.8\r\n\r\n")
        _, plain_headers, plain = read_answer(sock)

    assert headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert headers["vary"] == "Accept, Accept-Encoding"
    assert page.endswith(b"\n# EOF\n")
    samples = [sample for family in text_fd_to_metric_families(io.StringIO(page.decode())) for sample in family.samples]
    assert len(samples) == len(values(plain))
    assert plain_headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in plain


def test_several_addresses_are_served_at_once() -> None:
    with serving(listeners=3) as server:
        ports = [sock.getsockname()[1] for sock in server._listeners]
        assert len(set(ports)) == 3
        for port in ports:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                sock.sendall(ASK % b"/-/healthy")
                assert read_answer(sock)[0] == 200


def test_scrapes_beyond_the_limit_are_a_503_and_other_pages_come() -> None:
    held, scrapes = Held(), Scrapes(1)
    held.let_go.clear()
    with serving(held=held, scrapes=scrapes) as server, connect(server) as first, connect(server) as second:
        try:
            first.sendall(ASK % b"/metrics")
            assert held.begun.acquire(timeout=10)
            second.sendall(ASK % b"/metrics")
            status, headers, body = read_answer(second)
            second.sendall(ASK % b"/-/healthy")

            assert (status, headers["connection"]) == (503, "keep-alive")
            assert body == b"503: more than 1 scrapes at once; try again later\n"
            assert read_answer(second)[0] == 200
            found = values(scrapes.families())
            assert found["promhttp_metric_handler_requests_in_flight"] == "1"
        finally:
            held.let_go.set()
        assert read_answer(first)[0] == 200
        wait_until(lambda: values(scrapes.families())["promhttp_metric_handler_requests_in_flight"] == "0")

    found = values(scrapes.families())
    assert found['promhttp_metric_handler_requests_total{code="200"}'] == "1"
    assert found['promhttp_metric_handler_requests_total{code="503"}'] == "1"


def test_what_is_called_from_outside_runs_while_it_serves(server: Server) -> None:
    called = threading.Event()

    server.soon(called.set)

    assert called.wait(10)
    with connect(server) as sock:
        sock.sendall(ASK % b"/-/healthy")
        assert read_answer(sock)[0] == 200


def test_the_metrics_page_is_compressed_when_offered(server: Server) -> None:
    with connect(server) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        _, headers, packed = read_answer(sock)
        sock.sendall(ASK % b"/metrics")
        _, plain_headers, plain = read_answer(sock)

    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in plain_headers
    assert len(packed) < len(plain) / 3
    assert values(gzip.decompress(packed)).keys() == values(plain).keys()
    assert values(plain)['selfheal_thing{number="7"}'] == "7"


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        (b"nonsense\r\n\r\n", 400, b"the first line must be"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, b"needs a Host header"),
        (b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405, b"read with GET"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, b"HTTP/1.1"),
        (b"GET /" + b"x" * 20_000, 431, b"longer than 8192 bytes"),
    ],
    ids=["nonsense", "no_host", "method", "version", "too_large"],
)
def test_a_bad_request_is_answered_and_the_connection_ends(
    server: Server, sent: bytes, status: int, text: bytes
) -> None:
    with connect(server) as sock:
        sock.sendall(sent)
        found, headers, body = read_answer(sock)

        assert (found, headers["connection"]) == (status, "close")
        assert text in body
        assert sock.recv(1) == b""
    assert own(server)[f'selfheal_exporter_http_responses_total{{code="{status}"}}'] == "1"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"collect[]=none", b"'none'; there are big, held"),
        (b"collect[]=big&exclude[]=held", b"contradict"),
        (b"a&" * 200, b"too many parts"),
    ],
    ids=["unknown", "both", "many_parts"],
)
def test_a_wrong_question_is_a_400_and_the_connection_goes_on(server: Server, query: bytes, text: bytes) -> None:
    with connect(server) as sock:
        sock.sendall(ASK % (b"/metrics?" + query))
        status, _, body = read_answer(sock)
        assert (status, text in body) == (400, True)

        sock.sendall(ASK % b"/-/healthy")
        assert read_answer(sock)[0] == 200


def test_a_head_request_has_no_body(server: Server) -> None:
    with connect(server) as sock:
        sock.sendall(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n" + ASK % b"/-/healthy")
        data = sock.recv(65536)
        while b"is healthy" not in data:
            data += sock.recv(65536)

    first, _, rest = data.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert int(first.partition(b"Content-Length: ")[2].split(b"\r\n")[0]) > 1000
    assert rest.startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_begins_and_stalls_is_told_and_ended() -> None:
    with serving(Limits(head_seconds=0.1)) as server, connect(server) as sock:
        sock.sendall(b"GET /metrics HT")
        status, _, body = read_answer(sock)

        assert (status, body) == (408, b"408: the request did not end in time\n")
        assert sock.recv(1) == b""
        assert own(server)['selfheal_exporter_http_connections_dropped_total{reason="slow"}'] == "1"


def test_dripping_bytes_do_not_prolong_the_time_for_a_head() -> None:
    with serving(Limits(head_seconds=0.3)) as server, connect(server) as sock:
        sock.settimeout(0.02)
        answer = b""
        for _ in range(400):
            try:
                sock.sendall(b"x")
                answer = sock.recv(100)
                break
            except TimeoutError:
                continue

        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_does_not_read_is_ended() -> None:
    with serving(Limits(write_seconds=0.2)) as server, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", server.port))
        try:
            # far more answers than the kernel keeps for us
            sock.sendall((ASK % b"/metrics?collect[]=big") * 5000)
        except OSError:
            # the server has had enough before we were done
            pass

        slow = 'selfheal_exporter_http_connections_dropped_total{reason="slow"}'
        wait_until(lambda: own(server)[slow] == "1")
        wait_until(lambda: own(server)["selfheal_exporter_http_connections"] == "0")


def test_an_idle_connection_ends_in_time_and_silently() -> None:
    with serving(Limits(idle_seconds=0.1)) as server, connect(server) as sock:
        sock.sendall(ASK % b"/-/healthy")
        read_answer(sock)

        assert sock.recv(1) == b""


def test_idle_connections_make_room_for_new_ones() -> None:
    with serving(Limits(connections=3)) as server, ExitStack() as stack:
        idle = [stack.enter_context(connect(server)) for _ in range(3)]
        wait_until(lambda: own(server)["selfheal_exporter_http_connections"] == "3")
        for sock in reversed(idle):
            sock.sendall(ASK % b"/-/healthy")
            assert read_answer(sock)[0] == 200

        for _ in range(2):
            sock = stack.enter_context(connect(server))
            sock.sendall(ASK % b"/-/healthy")
            assert read_answer(sock)[0] == 200

        # the one that has been idle longest went first
        assert idle[2].recv(1) == b""
        assert idle[1].recv(1) == b""
        idle[0].sendall(ASK % b"/-/healthy")
        assert read_answer(idle[0])[0] == 200
        assert own(server)['selfheal_exporter_http_connections_dropped_total{reason="evicted"}'] == "2"


class SlowDoor(OpenDoor):
    """A door that takes the socket apart, as TLS does, and the first time waits before it goes on."""

    def __init__(self) -> None:
        self.taken, self.let_go = threading.Event(), threading.Event()

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, object]:
        """Return the same connection as another socket."""
        wrapped = socket.socket(fileno=sock.detach())
        if not self.taken.is_set():
            self.taken.set()
            self.let_go.wait(30)
        return wrapped, None


def test_one_that_gave_up_its_place_while_it_was_let_in_does_not_come_in() -> None:
    door = SlowDoor()
    server = Server(open_listeners([("127.0.0.1", 0)]), SystemClock(), Limits(connections=1), door)
    routes = Routes(Registry({}, SystemClock()), "/metrics", server.families)
    thread = threading.Thread(target=server.serve, args=(routes.answer,))
    thread.start()
    try:
        with connect(server) as first, connect(server) as second:
            assert door.taken.wait(10)
            second.sendall(ASK % b"/-/healthy")
            assert read_answer(second)[0] == 200
            door.let_go.set()

            assert first.recv(1) == b""
    finally:
        door.let_go.set()
        server.stop()
        thread.join(10)


def test_too_many_connections_at_work_are_refused_with_503() -> None:
    held = Held()
    held.let_go.clear()
    with serving(Limits(connections=2), held) as server, ExitStack() as stack:
        busy = [stack.enter_context(connect(server)) for _ in range(2)]
        try:
            busy[0].sendall(ASK % b"/metrics")
            busy[1].sendall(ASK % b"/metrics")
            assert held.begun.acquire(timeout=10)
            # the other one waits for its turn: its request has arrived, so it is not idle
            wait_until(lambda: [connection.waiting_since for connection in set(server._connections)] == [None, None])

            with connect(server) as refused:
                status, _, body = read_answer(refused)

            assert (status, body) == (503, b"503: too many connections\n")
            assert own(server)['selfheal_exporter_http_connections_dropped_total{reason="refused"}'] == "1"
        finally:
            held.let_go.set()
        assert [read_answer(sock)[0] for sock in busy] == [200, 200]


def test_stop_ends_kept_connections() -> None:
    with serving() as server:
        sock = connect(server)
        sock.sendall(ASK % b"/-/healthy")
        read_answer(sock)
    with sock:
        assert sock.recv(1) == b""


def test_an_answer_that_fails_is_a_500_and_the_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(open_listeners([("127.0.0.1", 0)]), SystemClock())
    fails = iter([True, False])

    def answer(_: Request) -> Response:
        if next(fails):
            raise ZeroDivisionError("why")
        return Response(200, b"fine")

    thread = threading.Thread(target=server.serve, args=(answer,))
    thread.start()
    try:
        with connect(server) as sock:
            sock.sendall(ASK % b"/a")
            assert read_answer(sock)[0] == 500
            sock.sendall(ASK % b"/b")
            assert read_answer(sock)[2] == b"fine"
    finally:
        server.stop()
        thread.join(10)

    assert [(record.getMessage(), record.path) for record in caplog.records] == [("request failed", "/a")]  # type: ignore[attr-defined]


def test_one_that_lingers_after_its_last_answer_makes_room() -> None:
    with serving(Limits(connections=1)) as server, connect(server) as lingering:
        lingering.sendall(b"nonsense\r\n\r\n")
        assert read_answer(lingering)[0] == 400

        # it does not close its half, and must not keep others out from the moment on at which it lingers
        def lets_in() -> bool:
            with suppress(OSError), connect(server) as sock:
                sock.sendall(ASK % b"/-/healthy")
                return read_answer(sock)[0] == 200
            return False

        wait_until(lets_in)
        assert own(server)['selfheal_exporter_http_connections_dropped_total{reason="evicted"}'] == "1"


class ChangedDoor(OpenDoor):
    """Its terms are exchanged while a request is judged by the old ones."""

    judged = False

    def still_holds(self, terms: object, /) -> bool:
        """Hold until a request was judged."""
        return not self.judged

    def refusal(self, request: Request, /) -> Response | None:
        """Refuse nothing, by terms under which this connection was not let in."""
        self.judged = True
        return None


def test_a_request_judged_by_other_terms_than_its_connections_is_not_answered() -> None:
    server = Server(open_listeners([("127.0.0.1", 0)]), SystemClock(), door=ChangedDoor())
    thread = threading.Thread(target=server.serve, args=(lambda _: Response(200, b"secret"),))
    thread.start()
    try:
        with connect(server) as sock:
            sock.sendall(ASK % b"/")
            data = b"".join(iter(lambda: sock.recv(65536), b""))
    finally:
        server.stop()
        thread.join(10)

    assert data == b""
