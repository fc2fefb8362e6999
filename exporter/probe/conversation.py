"""One HTTP request on one connection, and its answer read in bounded time and size."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator
from typing import Any

from exporter.probe.model import Deadline, ProbeError, Reason

_CHUNK = 65_536


class _Patient(io.RawIOBase):
    """A connection as a file whose every read ends by the deadline: a server cannot win time by dripping."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is."""
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)


class _FileOnly:
    """What http.client wants of a socket: to be read as a file."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file

    def makefile(self, *_: Any) -> io.BufferedReader:
        """Return the file."""
        return self._file


def send(sock: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send all of it. Raise ProbeError if that takes too long, OSError if the connection breaks."""
    sock.settimeout(deadline.left())
    try:
        sock.sendall(data)
    except TimeoutError as error:
        raise ProbeError(Reason.TIMEOUT, "the request could not be sent in time") from error


def receive_head(sock: socket.socket, method: str, deadline: Deadline) -> http.client.HTTPResponse:
    """Return the answer once its head has come. Raise ProbeError if it is none, or late."""
    reader = io.BufferedReader(_Patient(sock, deadline), _CHUNK)
    response = http.client.HTTPResponse(_FileOnly(reader), method=method)  # type: ignore[arg-type]
    try:
        response.begin()
    except TimeoutError as error:
        raise ProbeError(Reason.TIMEOUT, "no answer in time") from error
    except (http.client.HTTPException, ValueError, OSError) as error:
        raise ProbeError(Reason.PROTOCOL, f"the answer is no HTTP: {_words(error)}") from error
    return response


def receive_body(response: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
    """Yield the body's parts. Raise ProbeError if it is larger than `limit` bytes, broken, or late."""
    size = 0
    while True:
        try:
            part = response.read(_CHUNK)
        except TimeoutError as error:
            raise ProbeError(Reason.TIMEOUT, "the body did not end in time") from error
        except (http.client.HTTPException, ValueError, OSError) as error:
            raise ProbeError(Reason.PROTOCOL, f"the body is broken: {_words(error)}") from error
        if not part:
            break
        size += len(part)
        if size > limit:
            raise ProbeError(Reason.SIZE, f"the body is larger than {limit} bytes")
        yield part
    if response.length:
        raise ProbeError(Reason.PROTOCOL, f"the body is broken: {response.length} bytes are missing")


def _words(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "it ends too early"
    if isinstance(error, http.client.RemoteDisconnected | ConnectionError):
        return "the connection was closed"
    return f"{error.__class__.__name__}"
