"""Ask the patient's parent over its Unix socket: one line there, one line back."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET = "control.sock"
_TIMEOUT = 15.0


class Refused(Exception):
    """The patient's parent said no, or could not be reached; the message says what it said."""


def ask(folder: Path, request: str) -> str:
    """Send one request (`start`, `stop`, `status`, `ill FAULT`) and return the answer. Raise Refused."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT)
            with short_path(folder) as path:
                connection.connect(path)
            connection.sendall(request.encode() + b"\n")
            answer = connection.makefile("r", encoding="utf-8").readline().rstrip("\n")
    except OSError as error:
        raise Refused(f"cannot reach the patient in {folder}: {error}") from error
    outcome, _, rest = answer.partition(" ")
    if outcome != "ok":
        raise Refused(rest or "the patient hung up")
    return rest


@contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """Give the socket's path through an open folder: a socket's own path may have at most 107 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)
