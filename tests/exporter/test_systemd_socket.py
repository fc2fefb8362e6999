"""What systemd hands over and wants to hear: sockets, and news by datagram."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.rig import free_port
from exporter.listening import CannotListenError, describe, take_listeners
from exporter.notify import Notifier
from selfheal.common.clock import ManualClock
from tests.exporter.programs import ask, running, start
from tests.exporter.trees import wait_until

QUIET = "--collector.disable-defaults"


def handing_over(*sockets: socket.socket) -> dict[str, object]:
    """Return how to start a program as systemd does: sockets from descriptor 3 on, and variables that say so."""
    moves = " ".join(f"{number}<&{sock.fileno()}" for number, sock in enumerate(sockets, start=3))
    script = f'exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(sockets)} exec "$@"'
    return {"through": ["bash", "-c", script, "bash"], "pass_fds": tuple(sock.fileno() for sock in sockets)}


def test_the_sockets_of_systemd_are_served(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.socket(socket.AF_UNIX) as second,
    ):
        second.bind(f"{tmp_path}/exporter.sock")
        second.listen()
        # where it is told to listen does not matter then
        flags = (QUIET, "--web.systemd-socket", f"--web.listen-address=:{free_port()}")
        with running(*flags, **handing_over(first, second)) as program:
            (line,) = [line for line in program.lines if "msg=listening" in line]
            assert ask(first.getsockname()[1], "/-/healthy")[0] == 200
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(f"{tmp_path}/exporter.sock")
                sock.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
            assert ask(first.getsockname()[1], "/-/healthy")[0] == 200

    assert f"127.0.0.1:{first_port(line)},unix:{tmp_path}/exporter.sock" in line


def first_port(line: str) -> str:
    """Return the port that a log line begins its addresses with."""
    return line.partition("127.0.0.1:")[2].partition(",")[0]


def failing(*flags: str, **options: object) -> str:
    """Start what cannot start; return what it says."""
    child = start(QUIET, *flags, **options)  # type: ignore[arg-type]
    _, err = child.communicate(timeout=20)
    assert child.returncode == 1
    return err


def test_without_sockets_it_says_so() -> None:
    reason = (
        "selfheal-exporter: --web.systemd-socket: systemd handed over no socket; "
        "start this through a socket unit, or use --web.listen-address instead\n"
    )

    assert failing("--web.systemd-socket") == reason
    # meant for another process
    assert failing("--web.systemd-socket", variables={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == reason


def test_a_socket_that_others_can_reach_needs_somebody_to_be_asked(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as sock:
        err = failing("--web.systemd-socket", **handing_over(sock))
        port = sock.getsockname()[1]
        (tmp_path / "web.yml").write_text("")
        told = failing("--web.systemd-socket", f"--web.config.file={tmp_path}/web.yml", **handing_over(sock))

    assert f"--web.listen-address 0.0.0.0:{port} can be reached by others and nobody is asked for a password" in err
    assert f"{tmp_path}/web.yml: lets in everybody, and others can reach --web.listen-address" in told


def test_a_descriptor_that_is_no_listening_socket_is_named() -> None:
    with socket.socket() as silent, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for sock in (silent, datagrams):
            err = failing("--web.systemd-socket", **handing_over(sock))

            assert "descriptor 3 is no listening stream socket; use ListenStream= without Accept=yes" in err


def test_the_variables_are_taken_away() -> None:
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "x", "LISTEN_FDNAMES": "a", "OTHER": "b"}

    with pytest.raises(CannotListenError):
        take_listeners(environment)

    assert environment == {"OTHER": "b"}


def test_an_address_is_told_as_it_is_written() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        assert describe(sock) == f"[::1]:{sock.getsockname()[1]}"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager that listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"{tmp_path}/notify")
        sock.settimeout(20)
        yield sock


def next_news(manager: socket.socket, besides: Sequence[bytes] = (b"WATCHDOG=1",)) -> bytes:
    """Return the next news but these."""
    while (news := manager.recv(1000)) in besides:
        pass
    return news


def test_the_manager_hears_of_everything(manager: socket.socket) -> None:
    variables = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "100000"}
    with running(QUIET, variables=variables) as program:
        assert next_news(manager, ()) == b"READY=1"
        # it goes on giving them
        assert [next_news(manager, ()) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        program.child.send_signal(signal.SIGHUP)
        reloading, _, stamp = next_news(manager).partition(b"\nMONOTONIC_USEC=")
        assert (reloading, stamp.isdigit()) == (b"RELOADING=1", True)
        assert next_news(manager) == b"READY=1"
        wait_until(lambda: program.logged("msg=reloaded"))
        program.child.send_signal(signal.SIGTERM)
        assert next_news(manager) == b"STOPPING=1"
        assert program.child.wait(timeout=10) == 0


def test_an_abstract_address_is_understood_and_signs_are_given_in_time() -> None:
    clock = ManualClock()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0selfheal-{os.getpid()}")
        manager.settimeout(10)
        environment = {"NOTIFY_SOCKET": f"@selfheal-{os.getpid()}", "WATCHDOG_USEC": "20000000"}
        notifier = Notifier(environment, clock)
        assert notifier.every == 10
        notifier.alive()
        clock.advance(9)
        notifier.alive()
        notifier.alive()
        notifier.stopping()

        assert [manager.recv(100) for _ in range(2)] == [b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize(
    "environment",
    [
        {"WATCHDOG_USEC": "1000"},
        {"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "0"},
    ],
)
def test_where_nobody_waits_for_signs_none_are_given(environment: dict[str, str]) -> None:
    assert Notifier(environment, ManualClock()).every is None


def test_a_manager_that_is_not_there_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": "/no/such/socket"}, ManualClock()).ready()
    Notifier({}, ManualClock()).ready()

    assert [(record.getMessage(), record.news) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("service manager not reached", "READY=1")
    ]
