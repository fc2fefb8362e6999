"""Which addresses are listened on: every one of the machine's, those of IPv4, or one."""

from __future__ import annotations

import http.client
import re
import socket

import pytest

from exporter.addresses import parse_address
from exporter.listening import CannotListenError, describe, open_listeners, others_can_reach
from tests.exporter.programs import LISTENING, running


def has_ipv6() -> bool:
    """Say whether this machine has an IPv6 address of its own at all."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def reaches(host: str, port: int) -> bool:
    """Say whether somebody listens there."""
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError:
        return False
    return True


@needs_ipv6
@pytest.mark.parametrize("text", [":0", "[::]:0"])
def test_every_address_is_answered_by_both_families(text: str) -> None:
    with running(f"--web.listen-address={text}", "--web.allow-anyone") as program:
        line = next(line for line in program.lines if LISTENING.search(line))
        found = re.search(r"\[::\]:(\d+)", line)
        assert found, line
        for host in ("127.0.0.1", "::1"):
            connection = http.client.HTTPConnection(host, int(found[1]), timeout=30)
            connection.request("GET", "/-/healthy")
            assert connection.getresponse().status == 200
            connection.close()


@pytest.mark.parametrize("text", [":0", "[::]:0"])
def test_without_ipv6_every_address_is_those_of_ipv4(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    (listener,) = open_listeners([parse_address(text)])

    with listener:
        assert listener.getsockname()[0] == "0.0.0.0"
        assert reaches("127.0.0.1", listener.getsockname()[1])
        assert others_can_reach(listener)


def test_every_address_of_ipv4_is_no_other() -> None:
    (listener,) = open_listeners([parse_address("0.0.0.0:0")])

    with listener:
        port = listener.getsockname()[1]
        assert (listener.family, describe(listener)) == (socket.AF_INET, f"0.0.0.0:{port}")
        assert reaches("127.0.0.1", port)
        assert not reaches("::1", port)


def pair() -> list[socket.socket]:
    """Listen on the same port of both families, each asked for by itself."""
    for _ in range(20):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        try:
            return open_listeners([("0.0.0.0", port), ("::", port)])
        except CannotListenError:
            # somebody was given this port meanwhile
            continue
    pytest.fail("no port can be had of both families")


@needs_ipv6
def test_both_families_may_be_asked_for_apart() -> None:
    listeners = pair()

    ports = {listener.getsockname()[1] for listener in listeners}
    assert [listener.family for listener in listeners] == [socket.AF_INET, socket.AF_INET6]
    assert len(ports) == 1
    for listener in listeners:
        listener.close()


@needs_ipv6
def test_one_address_of_ipv6_is_that_one() -> None:
    (listener,) = open_listeners([parse_address("[::1]:0")])

    with listener:
        assert reaches("::1", listener.getsockname()[1])
        assert not reaches("127.0.0.1", listener.getsockname()[1])
        assert not others_can_reach(listener)
