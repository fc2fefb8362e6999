"""The one door for outgoing HTTP, against a real server that misbehaves in every way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.rig import free_port
from remediator.client import Client
from remediator.errors import SourceUnavailable
from tests.stack.support import wait_until


class Far:
    """A server that remembers what it was asked and answers by the path."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.peers: set[Any] = set()
        self.release = threading.Event()
        far = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                far.asked.append((self.command, self.path, dict(self.headers.items()), body))
                far.peers.add(self.client_address)
                far.answer(self, urlsplit(self.path).path)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler, path: str) -> None:
        status, body = 200, b'{"ok": true}'
        if path == "/redirect":
            status, body = 302, b""
        elif path == "/refuse":
            status, body = 422, b'{"status": "error", "error": "many-to-many matching ' + b"x" * 500 + b'"}'
        elif path == "/page":
            status, body = 502, b"<html>bad gateway</html>"
        elif path == "/words":
            body = b"<html>"
        elif path == "/large":
            body = b"x" * 5_000
        elif path == "/slow":
            self.release.wait(20)
        handler.send_response(status)
        if status == 302:
            handler.send_header("Location", f"http://127.0.0.1:{self.port}/elsewhere")
        if path == "/cookie":
            handler.send_header("Set-Cookie", "a=b")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        if path == "/once":
            # closed without saying so, as an idle connection is
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def far() -> Iterator[Far]:
    server = Far()
    yield server
    server.close()


@pytest.fixture
def client(far: Far) -> Iterator[Client]:
    made = Client(f"http://user:p%40ss@127.0.0.1:{far.port}/", timeout=5, max_bytes=4_000)
    yield made
    made.close()


def failure(client: Client, path: str) -> str:
    with pytest.raises(SourceUnavailable) as error:
        client.get_json(path)
    assert error.value.source == "prometheus"
    assert "p%40ss" not in str(error.value)
    assert "p@ss" not in str(error.value)
    return error.value.detail.partition(": ")[2]


def test_an_answer_is_read_and_the_credential_of_the_address_is_sent(far: Far, client: Client) -> None:
    assert client.get_json("/fine", {"a": "b c&d"}) == {"ok": True}

    method, path, headers, _ = far.asked[0]
    assert (method, path) == ("GET", "/fine?a=b%20c%26d")
    assert headers["Authorization"] == "Basic dXNlcjpwQHNz"
    assert "p%40ss" not in client.base_url


def test_given_headers_are_sent(far: Far) -> None:
    client = Client(f"http://127.0.0.1:{far.port}", headers={"Authorization": "Bearer t"})
    client.get("/fine")
    client.close()

    assert far.asked[0][2]["Authorization"] == "Bearer t"


def test_a_redirect_is_not_followed(far: Far, client: Client) -> None:
    assert failure(client, "/redirect") == "answered 302, a redirect, which is not followed"

    assert [path for _, path, _, _ in far.asked] == ["/redirect"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/refuse", "answered 422: many-to-many matching " + "x" * 178),
        ("/page", "answered 502"),
        ("/words", "the answer is no JSON"),
        ("/large", "the answer is longer than 4000 bytes"),
    ],
)
def test_an_unusable_answer_is_told_in_words(client: Client, path: str, text: str) -> None:
    assert failure(client, path) == text


def test_after_a_too_large_answer_the_next_question_is_answered(client: Client) -> None:
    failure(client, "/large")

    assert client.get_json("/fine") == {"ok": True}


def test_no_answer_in_time_is_told_in_words(far: Far) -> None:
    client = Client(f"http://user:p%40ss@127.0.0.1:{far.port}", timeout=0.2)

    assert failure(client, "/slow") == "no answer in time"
    client.close()


def test_nobody_there_is_told_in_words() -> None:
    client = Client(f"http://user:p%40ss@127.0.0.1:{free_port()}", timeout=1)

    assert failure(client, "/fine") == "cannot connect"
    client.close()


def test_proxies_of_the_environment_are_not_used(far: Far, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    assert client.get_json("/fine") == {"ok": True}


def test_cookies_are_neither_kept_nor_sent(far: Far, client: Client) -> None:
    client.get("/cookie")
    client.get("/cookie")

    assert "Cookie" not in far.asked[1][2]


def test_connections_are_kept(far: Far, client: Client) -> None:
    for _ in range(20):
        client.get("/fine")

    assert len(far.peers) == 1


def test_a_connection_that_was_closed_meanwhile_is_made_again(far: Far, client: Client) -> None:
    client.get("/once")

    assert client.get_json("/fine") == {"ok": True}


def test_a_long_question_goes_as_a_form(far: Far, client: Client) -> None:
    query = 'x{a="é&"} + ' * 1_000
    client.ask("/api", {"query": query})
    client.ask("/api", {"query": "short"})

    assert [method for method, _, _, _ in far.asked] == ["POST", "GET"]
    assert parse_qs(far.asked[0][3].decode()) == {"query": [query]}


def test_many_threads_may_ask_at_once(far: Far, client: Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: client.get_json("/fine", {"n": str(n)}), range(200)))

    assert answers == [{"ok": True}] * 200
    wait_until(lambda: len({path for _, path, _, _ in far.asked}) == 200)
    assert len(far.peers) <= 16


@pytest.mark.parametrize("address", ["", "127.0.0.1:9090", "ftp://host", "http://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"must be http://host\[:port\] or https://host\[:port\]"):
        Client(address)
