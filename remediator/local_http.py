"""HTTP to a program of this machine, over its Unix socket or on loopback: one question, one bounded answer.

Who may be asked what is for the doors that stand on this one to say. Here is seen to it that the socket is root's or
ours, that nothing is sent twice, and that no slow answer keeps us longer than it may.
"""

from __future__ import annotations

import http.client
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from remediator.errors import ActionFailed, OutcomeUnknown

LARGEST_ANSWER = 4 * 1024 * 1024
_LARGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class Place:
    """Where a program listens: a Unix socket, or a port of loopback."""

    socket: str = ""
    host: str = "127.0.0.1"
    port: int = 0

    def __str__(self) -> str:
        return self.socket or f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `changes` says that it tells the program to do something."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    changes: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    body: bytes


def exchange(place: Place, call: Call, end_at: float, monotonic: Callable[[], float]) -> Answer:
    """Given a place and a call, send it once and return the whole answer, all before `end_at`.

    Raise ActionFailed if the place cannot be reached, belongs to somebody else, or was only asked and gave no whole
    answer; OutcomeUnknown if it was told to do something and gave none.
    """
    line = _connect(place, end_at, monotonic)
    was_cut = threading.Event()
    cutter = threading.Timer(max(0.0, end_at - monotonic()), _cut, [line, was_cut])
    cutter.daemon = True
    cutter.start()
    connection = http.client.HTTPConnection("localhost")
    connection.sock = line
    why = ""
    try:
        headers = {"Accept": "*/*", "User-Agent": "selfheal", "Connection": "close", **call.headers}
        connection.request(call.method, call.path, call.body or None, headers)
        response = connection.getresponse()
        body = response.read(LARGEST_ANSWER + 1)
        if len(body) > LARGEST_ANSWER:
            why = f"the answer is longer than {LARGEST_ANSWER} bytes"
        elif response.length:
            why = "the answer broke off"
        status = response.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        # a ValueError is a length that is none
        why = f"the exchange failed ({error.__class__.__name__})"
    finally:
        cutter.cancel()
        connection.close()
    # what was cut can look like a whole answer that ends there
    if was_cut.is_set():
        why = "no answer in time"
    if why:
        kind = OutcomeUnknown if call.changes else ActionFailed
        raise kind(f"{call.method} {call.path} at {place}: {why}")
    return Answer(status, body)


def _connect(place: Place, end_at: float, monotonic: Callable[[], float]) -> socket.socket:
    """Connect to a place that is root's or ours. Raise ActionFailed if that cannot be done."""
    left = end_at - monotonic()
    if left <= 0:
        raise ActionFailed(f"{place}: no time is left")
    family = socket.AF_UNIX if place.socket else socket.AF_INET6 if ":" in place.host else socket.AF_INET
    line = socket.socket(family, socket.SOCK_STREAM)
    try:
        line.settimeout(left)
        if place.socket:
            _check_socket(place.socket)
            line.connect(place.socket)
            _check_peer(line, place.socket)
        else:
            line.connect((place.host, place.port))
        # what keeps us too long from here on is cut from outside
        line.settimeout(None)
    except OSError as error:
        line.close()
        why = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or error.__class__.__name__
        raise ActionFailed(f"{place} cannot be reached ({why})") from error
    except ActionFailed:
        line.close()
        raise
    return line


def _check_socket(path: str) -> None:
    """Raise ActionFailed if somebody else could have put the socket there, OSError if it cannot be looked at."""
    real = Path(os.path.realpath(path))
    if len(os.fsencode(path)) > _LARGEST_SOCKET_PATH:
        raise ActionFailed(f"{path} is longer than a socket's path can be")
    found = real.stat()
    if not stat.S_ISSOCK(found.st_mode):
        raise ActionFailed(f"{path} is no socket")
    if found.st_uid not in (0, os.geteuid()):
        raise ActionFailed(f"{path} belongs to uid {found.st_uid}, who could have put it there")
    for folder in real.parents:
        seen = folder.stat()
        # in a sticky folder nobody can replace what is another's
        if seen.st_mode & stat.S_IWOTH and not seen.st_mode & stat.S_ISVTX:
            raise ActionFailed(f"{path} could be replaced: everybody may write in {folder}")


def _check_peer(line: socket.socket, path: str) -> None:
    """Raise ActionFailed if another user's program listens: root's or ours are asked only (unix(7), SO_PEERCRED)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if uid not in (0, os.geteuid()):
        raise ActionFailed(f"a program of uid {uid} listens at {path}")


def _cut(line: socket.socket, was_cut: threading.Event) -> None:
    was_cut.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
