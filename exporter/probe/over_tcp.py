"""Asks over TCP: connects, encrypts where asked, and holds a short conversation line by line."""

from __future__ import annotations

import socket

from exporter.probe.conversation import send
from exporter.probe.dial import Dialer, timed
from exporter.probe.model import Deadline, Exchange, Found, ProbeError, Reason, Tcp

# a line longer than this, or more lines than this, are no conversation
_LONGEST_LINE = 65_536
_MOST_LINES = 1_000


def ask(wanted: Tcp, dialer: Dialer, found: Found, deadline: Deadline) -> None:
    """Connect and talk; `found` gets what was seen. Raise ProbeError if something is not right."""
    found.facts["failed_due_to_regex"] = 0
    sock = dialer.connect(dialer.resolve(wanted.host, wanted.port, found, deadline), found, deadline)
    if wanted.use_tls:
        sock = dialer.encrypt(sock, wanted.host, wanted.tls, found, deadline)
    lines = _Lines(sock)
    try:
        for step in wanted.conversation:
            with timed("conversation", found, deadline):
                _take(step, lines, found, deadline)
            if step.starttls:
                # what came before the handshake was not protected by it and is not believed after it
                lines = _Lines(dialer.encrypt(lines.sock, wanted.host, wanted.tls, found, deadline))
    except OSError as error:
        raise ProbeError(Reason.PROTOCOL, "the connection was closed") from error
    finally:
        lines.sock.close()


class _Lines:
    """A connection read line by line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()

    def next(self, deadline: Deadline) -> bytes | None:
        """Return the next line, or None at the end."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise ProbeError(Reason.SIZE, f"a line is longer than {_LONGEST_LINE} bytes")
            self.sock.settimeout(deadline.left())
            try:
                part = self.sock.recv(_LONGEST_LINE)
            except TimeoutError as error:
                raise ProbeError(Reason.TIMEOUT, "the expected line did not come in time") from error
            if not part:
                line, self._buffer = bytes(self._buffer), bytearray()
                return line or None
            self._buffer += part
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def _take(step: Exchange, lines: _Lines, found: Found, deadline: Deadline) -> None:
    if step.expect is not None:
        for _ in range(_MOST_LINES):
            line = lines.next(deadline)
            if line is None:
                found.facts["failed_due_to_regex"] = 1
                shown = step.expect.source
                raise ProbeError(Reason.REGEX, f"the connection was closed before a line matched {shown}")
            if step.expect.finds(line):
                break
        else:
            raise ProbeError(Reason.SIZE, f"none of {_MOST_LINES} lines was the expected one")
    if step.send is not None:
        send(lines.sock, f"{step.send}\n".encode(), deadline)
