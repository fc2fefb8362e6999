"""Questions to the kernel by netlink: a socket, its messages, their attributes. Format: netlink(7)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_SECOND = struct.pack("@ll", 1, 0)

_DONE, _FAILED = 3, 2
_DUMP, _INTERRUPTED = 0x301, 0x10
_KIND = 0x3FFF

_BUFFER = 1 << 15
_MOST_TRIES = 3


class Netlink:
    """A socket to one of the kernel's netlink families; opened when it is asked, kept while the answers are whole."""

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._family = family
        self._socket: socket.socket | None = None
        self._number = 0

    def dump(self, kind: int, body: bytes) -> list[tuple[bytes, int, int]]:
        """Ask for everything of a kind; return each message as where its body begins and ends in what bytes.

        Raise OSError if the kernel refuses or does not answer within a second.
        """
        for _ in range(_MOST_TRIES - 1):
            found, is_whole = self._ask(kind, body)
            if is_whole:
                return found
        # the table changes faster than it can be read: as good as it gets
        return self._ask(kind, body)[0]

    def close(self) -> None:
        """Close the socket; the next dump opens another."""
        kept, self._socket = self._socket, None
        if kept is not None:
            kept.close()

    def __del__(self) -> None:
        # absent if __init__ never ran
        if getattr(self, "_socket", None) is not None:
            self.close()

    def _ask(self, kind: int, body: bytes) -> tuple[list[tuple[bytes, int, int]], bool]:
        if self._socket is None:
            self._socket = self._opened()
        self._number = (self._number + 1) & 0xFFFFFFFF
        try:
            self._socket.send(_HEADER.pack(_HEADER.size + len(body), kind, _DUMP, self._number, 0) + body)
            return self._answer(self._socket)
        except (OSError, ValueError):
            # what is left of this answer must not be taken for the next
            self.close()
            raise

    def _opened(self) -> socket.socket:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._family)
        try:
            opened.bind((0, 0))
            # a timeout of Python's own would cost a poll before every read
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SECOND)
        except OSError:
            opened.close()
            raise
        return opened

    def _answer(self, opened: socket.socket) -> tuple[list[tuple[bytes, int, int]], bool]:
        found: list[tuple[bytes, int, int]] = []
        is_whole = True
        while True:
            data = opened.recv(_BUFFER)
            for kind, flags, begin, end in messages(data, self._number):
                is_whole = is_whole and not flags & _INTERRUPTED
                if kind == _DONE:
                    return found, is_whole
                if kind == _FAILED:
                    raise OSError(-read_from(_ERROR, data, begin)[0], "netlink refuses")
                found.append((data, begin, end))


def messages(data: bytes, number: int) -> Iterator[tuple[int, int, int, int]]:
    """Given bytes and the question's number, return kind, flags, begin and end of the body of each message in them.

    Raise ValueError if one is not whole or answers another question.
    """
    begin = 0
    while begin < len(data):
        length, kind, flags, answers, _ = read_from(_HEADER, data, begin)
        if length < _HEADER.size or begin + length > len(data):
            raise ValueError("a netlink message is not whole")
        if answers != number:
            raise ValueError("a netlink message answers another question")
        yield kind, flags, begin + _HEADER.size, begin + length
        begin += (length + 3) & ~3


def attributes(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Given bytes and where attributes begin and end, return the kind of each and where its value begins and ends."""
    while begin + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, begin)
        if length < _ATTRIBUTE.size or begin + length > end:
            raise ValueError("a netlink attribute is not whole")
        yield kind & _KIND, begin + _ATTRIBUTE.size, begin + length
        begin += (length + 3) & ~3


def read_from(layout: struct.Struct, data: bytes, begin: int) -> tuple[int, ...]:
    """Return the numbers that stand at a place. Raise ValueError if the message ends before."""
    try:
        return layout.unpack_from(data, begin)
    except struct.error as error:
        raise ValueError(f"a netlink message is not whole: {error}") from error
