"""Asks over HTTP, on a network address or a Unix socket: one short request, a bounded answer, no redirects."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from exporter.probe.conversation import receive_body, receive_head, send
from exporter.probe.dial import Dialer
from exporter.probe.model import Deadline, Found, Tls
from selfheal import __version__
from selfheal.common.clock import Clock

MOST_BYTES = 1 << 20


class Answer(NamedTuple):
    """The status and body of an answer."""

    status: int
    body: bytes


def get_unix(path: str, target: str, seconds: float, clock: Clock) -> Answer:
    """Given a Unix socket and a target, return the answer. Raise OSError or ProbeError if there is none in time."""
    deadline = Deadline(clock, clock.monotonic() + seconds)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        sock.connect(path)
        return _get(sock, "localhost", target, deadline)


def get(url: str, seconds: float, ca_file: Path | None, clock: Clock) -> Answer:
    """Given an address, return the answer. Raise OSError or ProbeError if there is none in time."""
    deadline, dialer, found = Deadline(clock, clock.monotonic() + seconds), Dialer(), Found()
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
    sock = dialer.connect(dialer.resolve(host, port, found, deadline), found, deadline)
    if is_tls:
        sock = dialer.encrypt(sock, host, Tls(ca_file=ca_file), found, deadline)
    with sock:
        return _get(sock, parts.netloc, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), deadline)


def _get(sock: socket.socket, host: str, target: str, deadline: Deadline) -> Answer:
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: selfheal-exporter/{__version__}",
        "Accept: application/json, text/plain",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    send(sock, "\r\n".join([*lines, "", ""]).encode("ascii"), deadline)
    response = receive_head(sock, "GET", deadline)
    return Answer(response.status, b"".join(receive_body(response, MOST_BYTES)))
