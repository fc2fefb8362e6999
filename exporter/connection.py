"""One connection as its own thread sees it: a request's head is read in time and in bounds, and the end is polite."""

from __future__ import annotations

import socket

from exporter.messages import MOST_HEAD_BYTES, BadRequestError
from selfheal.common.clock import Clock


class Connection:
    """One connection; `waiting_since` is None while a request of it is being answered."""

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.waiting_since: float | None = now
        self.terms: object = None
        """What it was let in under; the door knows what that means."""
        self.buffer = b""

    def shut(self) -> None:
        """End it from another thread: the thread that reads from it sees the end."""
        try:
            # not TLS's own, which would take the socket's secrets from under the thread that uses them
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            # the other side was faster
            pass

    def read_head(self, clock: Clock, head_seconds: float, idle_seconds: float) -> bytes | None:
        """Return the next request's head, or None if the other side has nothing more to ask.

        Raise BadRequestError if one has begun and does not end in time, or is too large.
        """
        deadline = clock.monotonic() + (head_seconds if self.buffer else idle_seconds)
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if len(self.buffer) > MOST_HEAD_BYTES:
                raise BadRequestError(f"the head is longer than {MOST_HEAD_BYTES} bytes", 431)
            begun = bool(self.buffer)
            self.sock.settimeout(max(0.001, deadline - clock.monotonic()))
            try:
                part = self.sock.recv(MOST_HEAD_BYTES)
            except TimeoutError:
                if begun:
                    raise BadRequestError("the request did not end in time", 408) from None
                return None
            if not part:
                return None
            # empty lines before a request are allowed and mean nothing
            self.buffer = (self.buffer + part) if begun else part.lstrip(b"\r\n")
            if not begun and self.buffer:
                deadline = clock.monotonic() + head_seconds
        head, self.buffer = self.buffer[:end], self.buffer[end + 4 :].lstrip(b"\r\n")
        return head

    def let_read(self) -> None:
        """Close our half and wait shortly for the other: closing with bytes unread would take our answer away again."""
        self.sock.settimeout(1.0)
        unwrap = getattr(self.sock, "unwrap", None)
        try:
            if unwrap is not None:
                # says goodbye within TLS, so that nobody takes the end for one that was cut off
                unwrap()
                return
            self.sock.shutdown(socket.SHUT_WR)
            for _ in range(16):
                if not self.sock.recv(65536):
                    return
        except TimeoutError:
            # long enough for an honest client
            pass
