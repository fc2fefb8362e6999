"""Red team at the door to other places: redirects, other spellings, headers, slow drips, and who is never told."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import free_port
from remediator.errors import ActionFailed, OutcomeUnknown, Refused
from remediator.outgoing import LARGEST_KEPT, Request, machine, reach, send, without
from remediator.policy import Policy, Refusal, place_of
from remediator.policy.addresses import read_address
from remediator.policy.values import Url
from selfheal.common.secrets import Secret
from tests.exporter.certificates import make_authority


class Far:
    """A server that remembers what it was asked and answers by the path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        far = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                far.asked.append((self.command, self.path, dict(self.headers.items()), body))
                size = LARGEST_KEPT + 10 if self.path == "/large" else 5
                self.send_response(302 if self.path == "/redirect" else 200)
                if self.path == "/redirect":
                    self.send_header("Location", f"http://127.0.0.1:{far.port}/forbidden")
                self.send_header("Content-Length", str(size))
                self.end_headers()
                self.wfile.write(b"x" * size)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def far() -> Iterator[Far]:
    made = Far()
    yield made
    made.server.shutdown()
    made.server.server_close()


def permitting(*urls: str, methods: tuple[str, ...] = ("GET",), **more: Any) -> Policy:
    return Policy(urls=tuple(Url(read_address(url), methods) for url in urls), source="policy.yml", **more)


def get(policy: Policy, url: str, timeout: float = 10.0) -> Any:
    return send(policy, Request("GET", url), timeout, time.monotonic)


@contextmanager
def dripping(first: bytes, drip: bytes = b"x") -> Iterator[int]:
    """Listen; answer whoever comes with `first`, and then with a byte now and then, for ever."""
    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            peer, _ = listening.accept()
            with peer:
                peer.sendall(first)
                while not stop.wait(0.02):
                    peer.sendall(drip)
        except OSError:
            # whoever asked has gone
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    stop.set()
    listening.close()
    thread.join(10)


def test_a_permitted_place_is_asked_once_with_nothing_of_ours(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    answered = get(permitting(f"http://127.0.0.1:{far.port}/a"), f"http://127.0.0.1:{far.port}/a/b?c=d")

    assert (answered.status, answered.body, answered.cut) == (200, b"xxxxx", False)
    ((method, path, headers, _),) = far.asked
    assert (method, path) == ("GET", "/a/b?c=d")
    assert set(headers) == {"Host", "Accept", "User-Agent", "Accept-Encoding"}
    assert headers["Host"] == f"127.0.0.1:{far.port}"


def test_a_redirect_to_a_forbidden_place_is_told_and_not_followed(far: Far) -> None:
    answered = get(permitting(f"http://127.0.0.1:{far.port}/redirect"), f"http://127.0.0.1:{far.port}/redirect")

    assert answered.status == 302
    assert [path for _, path, _, _ in far.asked] == ["/redirect"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:PORT/b",
        "http://127.0.0.1:PORT/a/../b",
        "http://127.0.0.1:PORT/a/%2e%2e/b",
        "http://127.0.0.1:PORT//b",
        "http://127.0.0.1:PORT/ab",
        "http://127.1:PORT/a",
        "http://2130706433:PORT/a",
        "http://0x7f.0.0.1:PORT/a",
        "http://localhost:PORT/a",
        "http://[::ffff:127.0.0.1]:PORT/a",
        "http://x@127.0.0.1:PORT/a",
        "http://127.0.0.1:PORT\\@elsewhere/a",
        "http://127.0.0.1:PORT/a#b",
        "http://127.0.0.1:PORT/a HTTP/1.1\r\nHost: x",
        "https://127.0.0.1:PORT/a",
        "http://127.0.0.1:1PORT/a",
        "tcp://127.0.0.1:PORT",
        "gopher://127.0.0.1:PORT/a",
        "",
    ],
)
def test_another_spelling_or_place_is_never_asked(far: Far, url: str) -> None:
    with pytest.raises(Refused):
        get(permitting(f"http://127.0.0.1:{far.port}/a"), url.replace("PORT", str(far.port)))

    assert far.asked == []


@pytest.mark.parametrize("method", ["POST", "get", "GET ", "CONNECT", "GET\r\nX: y", ""])
def test_another_method_is_never_used(far: Far, method: str) -> None:
    url = f"http://127.0.0.1:{far.port}/"

    with pytest.raises(Refused, match="is not permitted at"):
        send(permitting(url), Request(method, url), 5.0, time.monotonic)
    assert far.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "elsewhere"},
        {"content-length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"X": "a\r\nHost: elsewhere"},
        {"X\r\nY": "a"},
        {"X: Y": "a"},
        {"": "a"},
        {"X": "\N{CYRILLIC SMALL LETTER A}"},
    ],
)
def test_a_header_that_would_change_what_is_asked_is_refused(far: Far, headers: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{far.port}/"

    with pytest.raises(Refused, match="header"):
        send(permitting(url), Request("GET", url, headers), 5.0, time.monotonic)
    assert far.asked == []


def test_the_monitoring_is_asked_and_never_told_under_any_of_its_names(far: Far) -> None:
    url = f"http://127.0.0.1:{far.port}/"
    protected = frozenset({place_of("localhost", far.port)})
    policy = permitting(url, f"http://[::1]:{far.port}/", methods=("GET", "POST"), protected_addresses=protected)

    assert get(policy, url).status == 200
    for place in (url, f"http://[::1]:{far.port}/"):
        with pytest.raises(Refused, match="belongs to the monitoring itself; it may only be asked"):
            send(policy, Request("POST", place), 5.0, time.monotonic)
    assert [method for method, _, _, _ in far.asked] == ["GET"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("protected", ["localhost", "prometheus.example"])
def test_a_name_that_leads_to_the_monitoring_is_another_of_its_names(
    far: Far, monkeypatch: pytest.MonkeyPatch, address: str, protected: str
) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    place = (address, far.port, 0, 0) if ":" in address else (address, far.port)
    answers = lambda host, port, **_: [(family, socket.SOCK_STREAM, 6, "", place)]  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", answers)
    url = f"http://shop.example:{far.port}/"
    policy = permitting(url, methods=("GET", "POST"), protected_addresses=frozenset({(protected, far.port)}))

    with pytest.raises(Refused, match="leads to the monitoring itself; it may only be asked"):
        send(policy, Request("POST", url), 10.0, time.monotonic)
    assert get(policy, url).status == 200
    assert [method for method, _, _, _ in far.asked] == ["GET"]


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("127.0.0.1", "localhost"),
        ("127.8.8.8", "localhost"),
        ("::1", "localhost"),
        ("0.0.0.0", "localhost"),
        ("::ffff:127.0.0.1", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_machine_is_told_by_its_addresses_whatever_their_form(address: str, wanted: str) -> None:
    assert machine(address) == wanted


ECHOES = {
    "whole": b'{"got": "Basic dXNlcjpwYXNzL3dvcmQ="}',
    "without its scheme": b"token dXNlcjpwYXNzL3dvcmQ= is wrong",
    "decoded": b"no such user: user:pass/word",
    "the password alone": b"pass/word is wrong",
    "as some write JSON": b'{"password": "pass\\/word"}',
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_secret_that_is_told_back_is_not_kept_however_it_is_written(name: str) -> None:
    kept = without(Secret("Basic dXNlcjpwYXNzL3dvcmQ="), ECHOES[name])

    assert b"<secret>" in kept
    assert b"pass" not in kept.replace(b"password", b"")
    assert b"dXNlcj" not in kept


def test_a_neighbour_of_the_monitoring_on_another_port_is_told(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{far.port}/"
    policy = permitting(url, methods=("POST",), protected_addresses=frozenset({("localhost", far.port + 1)}))

    assert send(policy, Request("POST", url), 10.0, time.monotonic).status == 200


def test_a_chunk_of_a_size_below_nothing_does_not_fill_our_memory() -> None:
    taken = 0
    block, most = b"x" * 65_536, 64 * 1024 * 1024

    def serve() -> None:
        nonlocal taken
        peer, _ = listening.accept()
        with peer, suppress(OSError):
            peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
            while taken < most:
                peer.sendall(block)
                taken += len(block)

    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    with suppress(ActionFailed):
        assert len(get(permitting(url), url, 30.0).body) <= LARGEST_KEPT
    listening.close()
    thread.join(20)

    assert taken < most


def test_of_a_large_answer_the_beginning_is_kept(far: Far) -> None:
    answered = get(permitting(f"http://127.0.0.1:{far.port}/"), f"http://127.0.0.1:{far.port}/large")

    assert (len(answered.body), answered.cut) == (LARGEST_KEPT, True)


DRIPS = [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]


@pytest.mark.parametrize("first", DRIPS, ids=["status", "headers", "body"])
@pytest.mark.parametrize(("method", "error"), [("GET", ActionFailed), ("POST", OutcomeUnknown)])
def test_a_slow_drip_keeps_us_no_longer_than_we_may_take(first: bytes, method: str, error: type[Exception]) -> None:
    with dripping(first) as port:
        url = f"http://127.0.0.1:{port}/"
        begun = time.monotonic()
        with pytest.raises(error, match="no answer in time"):
            send(permitting(url, methods=("GET", "POST")), Request(method, url), 0.3, time.monotonic)

    assert time.monotonic() - begun < 5


def test_a_tls_handshake_that_drips_keeps_us_no_longer_than_we_may_take() -> None:
    with dripping(b"\x16\x03\x03\x40\x00", b"\x00") as port:
        begun = time.monotonic()
        with pytest.raises(ActionFailed, match="TLS failed"):
            get(permitting(f"https://127.0.0.1:{port}/"), f"https://127.0.0.1:{port}/", 0.3)

    assert time.monotonic() - begun < 5


def test_a_certificate_of_nobody_we_know_is_not_believed(tmp_path: Path) -> None:
    made = make_authority(tmp_path, "nobody")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    listening = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def serve() -> None:
        try:
            peer, _ = listening.accept()
            with context.wrap_socket(peer, server_side=True) as secure:
                got.append(secure.recv(100))
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
    with pytest.raises(ActionFailed, match="its certificate could not be verified"):
        get(permitting(url), url)
    thread.join(10)
    listening.close()

    assert got == []


def test_what_was_never_reached_is_a_known_failure_even_if_it_was_to_be_told() -> None:
    url = f"http://127.0.0.1:{free_port()}/"

    with pytest.raises(ActionFailed, match="cannot connect"):
        send(permitting(url, methods=("POST",)), Request("POST", url), 5.0, time.monotonic)


def test_a_message_never_shows_a_query() -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    policy = permitting(url)

    with pytest.raises(ActionFailed) as failed:
        get(policy, f"{url}x?token=hush")
    with pytest.raises(Refused) as refused:
        get(permitting("http://elsewhere/"), f"{url}x?token=hush")

    assert "hush" not in str(failed.value)
    assert "hush" not in refused.value.detail


def test_a_connection_is_made_only_to_a_listed_tcp_address(far: Far) -> None:
    heard: list[Refusal] = []
    policy = permitting(f"tcp://127.0.0.1:{far.port}", "http://127.0.0.1:1/", heard=heard.append)

    assert reach(policy, f"tcp://127.0.0.1:{far.port}", 5.0, time.monotonic) < 5
    for url in (f"tcp://127.0.0.1:{far.port + 1}", f"tcp://localhost:{far.port}", "http://127.0.0.1:1/", "tcp://x"):
        with pytest.raises(Refused):
            reach(policy, url, 5.0, time.monotonic)
    assert [refusal.door.value for refusal in heard] == ["http"] * 4
    assert far.asked == []
