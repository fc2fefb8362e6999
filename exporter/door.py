"""Who may come in and on which terms: what the server asks before it answers; without a file, everybody may."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

from exporter.encode import Family
from exporter.messages import Request, Response


class RefusedError(OSError):
    """This client does not come in, and is told nothing."""


class Door(Protocol):
    """What stands between a client and the pages."""

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, object]:
        """Given a new connection, return what to speak through, without waiting, and the terms it is let in under.

        Raise RefusedError if nobody is let in now.
        """
        ...

    def greet(self, sock: socket.socket, terms: object, /) -> None:
        """Given a wrapped connection with a timeout, agree on secrets. Raise OSError if that fails."""
        ...

    def still_holds(self, terms: object, /) -> bool:
        """Say whether a connection that was let in under these terms may go on."""
        ...

    def refusal(self, request: Request, /) -> Response | None:
        """Given a request, return what it is refused with, or None if it may be answered."""
        ...

    def headers(self) -> Mapping[str, str]:
        """Return the headers of every answer."""
        ...

    def check(self) -> None:
        """Raise ValueError with all that is wrong with the door's files as they are now."""
        ...

    def families(self) -> list[Family]:
        """Return the door's own metrics."""
        ...


class OpenDoor:
    """Nobody is asked anything."""

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, object]:
        """Speak through the socket itself."""
        return sock, None

    def greet(self, sock: socket.socket, terms: object, /) -> None:
        """Need no secrets."""

    def still_holds(self, terms: object, /) -> bool:  # noqa: ARG002 - there are no terms
        """Let everybody go on."""
        return True

    def refusal(self, request: Request, /) -> Response | None:  # noqa: ARG002 - whatever it asks
        """Refuse nobody."""
        return None

    def headers(self) -> Mapping[str, str]:
        """Add none."""
        return {}

    def check(self) -> None:
        """Have no files."""

    def families(self) -> list[Family]:
        """Have none."""
        return []
