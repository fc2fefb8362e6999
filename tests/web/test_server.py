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
