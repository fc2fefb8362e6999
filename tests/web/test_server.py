"""Slow and mute clients against the real server: they cost no thread and keep nobody waiting."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from remediator.web import server as served
from selfheal.common.clock import SystemClock
from tests.web.site import Site, alert, payload, read_all

HALF_HEAD = b"POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\n"


def took(action: Callable[[], object]) -> float:
    clock = SystemClock()
    begun = clock.monotonic()
    action()
    return clock.monotonic() - begun


def test_more_mute_clients_than_threads_keep_nobody_waiting(start: Callable[..., Site]) -> None:
    site = start(threads=4)
    with ExitStack() as open_ones:
        for _ in range(64):
            open_ones.enter_context(site.connect())

        assert took(lambda: site.deliver(payload(alert()))) < 2.0
    assert len(site.service.deliveries) == 1


def test_fewer_stuck_requests_than_threads_keep_nobody_waiting(start: Callable[..., Site]) -> None:
    site = start(threads=8)
    with ExitStack() as open_ones:
        for request in (HALF_HEAD, HALF_HEAD + b"Content-Length: 50\r\n\r\n{") * 3:
            open_ones.enter_context(site.connect()).sendall(request)

        assert took(lambda: site.deliver(payload(alert()))) < 2.0


def test_a_client_that_stops_in_the_middle_is_let_go(
    start: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "READ_TIMEOUT", 1)
    site = start(threads=2)
    with site.connect() as client:
        client.sendall(HALF_HEAD + b"Content-Length: 50\r\n\r\n{")

        assert read_all(client).startswith(b"HTTP/1.1 408 ")
    assert site.service.deliveries == []


def test_a_client_that_only_drips_is_cut_off_at_the_deadline(
    start: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "REQUEST_DEADLINE", 0.2)
    site = start(threads=2)
    with site.connect() as client:
        client.sendall(HALF_HEAD + b"Content-Length: 5000\r\n\r\n")
        client.settimeout(0.05)
        answer = drip_until_answered(client, rounds=400)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert site.service.deliveries == []


def drip_until_answered(client: socket.socket, rounds: int) -> bytes:
    for _ in range(rounds):
        try:
            client.sendall(b" ")
            return client.recv(4096)
        except TimeoutError:
            continue
        except (BrokenPipeError, ConnectionResetError):
            break
    raise AssertionError("the dripping client was never cut off")


def test_a_mute_connection_is_closed_after_a_while(start: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "READ_TIMEOUT", 0.2)
    site = start(threads=2)
    with site.connect() as client:
        assert client.recv(1) == b""


def test_two_requests_on_one_connection_are_answered_in_order(site: Site) -> None:
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"

    answer = site.raw(request + request.replace(b"/-/healthy", b"/-/ready"))

    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.index(b"healthy\n") < answer.index(b"ready\n")


def test_a_taken_port_is_an_error_that_says_so(start: Callable[..., Site], site: Site) -> None:
    with pytest.raises(OSError, match="No socket could be created"):
        other = served.WebServer(site.server.address, lambda *_: [], threads=1)
        other.start()


def test_stopping_twice_and_without_a_start_is_harmless(site: Site) -> None:
    site.server.stop()
    site.server.stop()
    served.WebServer(("127.0.0.1", 0), lambda *_: [], threads=1).stop()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(site.server.address, timeout=5)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_refused_client_that_is_still_sending_reads_why(site: Site, chunked: bool) -> None:
    size = 20 * 1024 * 1024
    length = b"Transfer-Encoding: chunked\r\n\r\n%x" % size if chunked else b"Content-Length: %d\r\n" % size
    with site.connect() as client:
        client.sendall(HALF_HEAD + length + b"\r\n" + b"x" * size)

        assert read_all(client).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", [b"/hooks/alertmanager", b"/api/v1/pause", b"/-/healthy"])
@pytest.mark.parametrize("sent", [b"Content-Length: 9000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_who_is_refused_is_answered_without_its_body(guarded: Site, path: bytes, sent: bytes) -> None:
    # what nobody asked for is neither waited for and held in memory, nor taken for the next request
    with guarded.connect() as client:
        client.settimeout(5)
        client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + sent)
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = read_all(client)

    assert answer.startswith(b"HTTP/1.1 40")
    assert (answer.count(b"HTTP/1.1 "), answer.lower().count(b"connection: close")) == (1, 1)


def test_a_short_body_nobody_reads_costs_no_connection(guarded: Site) -> None:
    request = b"POST /api/v1/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000

    answer = guarded.raw(request + b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")

    assert [answer.count(b"HTTP/1.1 %d " % status) for status in (401, 200)] == [1, 1]


@pytest.mark.parametrize("name", [b"Content-Length", b"Host", b"Authorization", b"X-API-Key", b"x-api-key"])
def test_what_may_stand_there_once_only_is_refused_twice(site: Site, name: bytes) -> None:
    # a proxy before us may go by the first, and we by the last
    answer = site.raw(b"GET /-/healthy HTTP/1.1\r\n" + (name + b": 0\r\n") * 2 + b"\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"stands there more than once")
