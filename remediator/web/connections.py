"""Connections as the server has them here: mute ones cost no thread, refused ones may finish, some are given away.

Two of cheroot's private names are used (`_from_server_socket`, `_selector`), which is why its version is pinned.
"""

from __future__ import annotations

import logging
import selectors
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cheroot import server as http
from cheroot import wsgi
from cheroot.connections import ConnectionManager
from cheroot.makefile import MakeFile

from selfheal.common.clock import Clock

if TYPE_CHECKING:
    from remediator.web.door import Door

logger = logging.getLogger(__name__)

CONNECTIONS = 384
"""Beyond these a new connection is closed at once."""
IDLE_TIMEOUT = 90.0
"""Seconds that a kept connection may stay idle."""
LINGER = 1.0
"""Seconds that a refused client may go on sending, so that it reads why instead of meeting a reset."""
LINGER_BYTES = 32 * 1024 * 1024
HAND_OVER = "selfheal.hand_over"
"""In a request's environment: `hand_over(take)` gives the connection away once the headers are sent."""

DRAINED = 64 * 1024
"""Bytes of a body nobody wanted that are read away so that the connection can be kept."""
ONCE = frozenset({b"Authorization", b"Content-Length", b"Host", b"X-Api-Key"})
"""Headers of which a second one is refused: a proxy before us may go by the other."""

Take = Callable[[socket.socket, bool], None]
"""Gets the socket, and whether the body is sent in chunks; it closes the socket in the end."""


class Adapter:
    """Where cheroot asks for TLS: each connection gets what the door asks for just then."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def bind(self, sock: socket.socket) -> socket.socket:
        """Return the listening socket as it is: which terms hold is asked for each connection."""
        return sock

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, dict[str, Any]]:
        """Return the socket as it is spoken through, and the terms."""
        wrapped, terms = self._door.wrap(sock)
        # not for the application: the connection takes it back out
        return wrapped, {"terms": terms}

    def get_environ(self) -> dict[str, Any]:
        """Return nothing: the application is told nothing of TLS."""
        return {}

    makefile = staticmethod(MakeFile)


class Gateway(wsgi.Gateway_10):
    """Lets an application take its connection away from the server's threads."""

    def get_environ(self) -> Any:
        """Return what WSGI asks for, and how to take the connection."""
        return {**super().get_environ(), HAND_OVER: self._hand_over}  # type: ignore[no-untyped-call]

    def _hand_over(self, take: Take) -> None:
        self.req.conn.taker = take


class Headers(dict[bytes, bytes]):
    """The headers of a request. Raise ValueError, which the client is told, where one of `ONCE` comes again."""

    def __setitem__(self, name: bytes, value: bytes) -> None:
        """Take one."""
        if name in ONCE and name in self:
            raise ValueError(f"{name.decode()} stands there more than once")
        super().__setitem__(name, value)


class Request(http.HTTPRequest):
    """A request whose length is believable and whose refusals are counted."""

    def __init__(self, server: Any, conn: Any) -> None:
        super().__init__(server, conn)
        self.inheaders = Headers()
        self.scheme = b"https" if isinstance(conn.socket, ssl.SSLSocket) else b"http"

    def read_request_headers(self) -> bool:
        """Read them; say whether the request can be answered."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if b"_" in b"".join(self.inheaders):
            # `Content_Length` would shadow Content-Length in the environment
            self.inheaders = {name: value for name, value in self.inheaders.items() if b"_" not in name}
        length = self.inheaders.get(b"Content-Length")
        if length is not None and not length.isdigit():
            self._refuse("400 Bad Request", "Content-Length must be a number that is not negative")
            return False
        if length is not None and self.chunked_read:
            self._refuse("400 Bad Request", "Content-Length and Transfer-Encoding exclude each other")
            return False
        return True

    def _refuse(self, status: str, message: str) -> None:
        self.close_connection = True
        self.simple_response(status, message)

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer without the application."""
        if str(status).startswith("413"):
            self.server.on_too_large(getattr(self, "path", b"").decode("latin-1"))
        self.conn.refused = True
        super().simple_response(status, msg)

    def _unread(self) -> bool:
        """Say whether more of the body was left unread than can be read away."""
        body: Any = self.rfile
        return not body.closed if self.chunked_read else body.remaining > DRAINED

    def send_headers(self) -> None:
        """Send them, and note how the connection goes on."""
        left = self._unread()
        # what is left would be held whole in memory, or taken for the next request
        self.close_connection = self.close_connection or left
        super().send_headers()
        # bytes, whatever the stubs say
        status: Any = self.status
        self.conn.refused = self.close_connection and (left or status.startswith(b"4"))
        if self.conn.taker is not None:
            # whoever takes the connection goes on with the body, and ends it
            self.conn.chunked, self.chunked_write = self.chunked_write, False
            self.close_connection = True


class Connection(http.HTTPConnection):
    """A connection that knows since when a thread has been occupied with its request."""

    RequestHandlerClass = Request
    busy_since: float | None = None
    fresh = True
    refused = False
    taker: Take | None = None
    chunked = False
    terms: object = None

    def communicate(self) -> bool:
        """Answer one request; say whether the connection is kept."""
        self.busy_since = self.server.clock.monotonic()
        try:
            return self._let_in() and bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self.busy_since = None
            self.fresh = False

    def _let_in(self) -> bool:
        door: Door | None = self.server.door
        if door is None:
            return True
        if self.fresh:
            # for the application it would be a part of the environment
            self.terms, self.ssl_env = (self.ssl_env or {}).get("terms"), None
            try:
                door.greet(self.socket, self.terms)
            except OSError as error:
                logger.debug("client not let in", extra={"problem": str(error)})
                return False
        return door.still_holds(self.terms)

    def close(self) -> None:
        """Close the connection, or give it to who asked for it."""
        if self.taker is not None:
            take, self.taker = self.taker, None
            take(self.socket, self.chunked)
            return
        if self.refused:
            self.refused = False
            self._let_it_finish()
        super().close()

    def _let_it_finish(self) -> None:
        clock: Clock = self.server.clock
        deadline, left = clock.monotonic() + LINGER, LINGER_BYTES
        try:
            # the plain one: that of TLS would forget its keys and go on in clear text
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
            self.socket.settimeout(LINGER)
            while left > 0 and clock.monotonic() < deadline and (part := self.socket.recv(65_536)):
                left -= len(part)
        except OSError:
            pass  # it has gone, or says nothing more


class Connections(ConnectionManager):
    """Gives a connection to a thread only when there is something to read: mute clients cost no thread."""

    # private names of cheroot's, which its stubs leave out
    _selector: Any
    _num_connections: int

    def _from_server_socket(self, server_socket: socket.socket) -> None:
        cheroots: Any = super()
        connection = cheroots._from_server_socket(server_socket)
        if connection is None:
            return
        if self._num_connections >= CONNECTIONS:
            connection.close()
            return
        connection.used_at = self.server.clock.monotonic()
        self._selector.register(connection.socket.fileno(), selectors.EVENT_READ, data=connection)

    def put(self, conn: Any) -> None:
        """Take a kept connection back, until there is something to read."""
        conn.used_at = self.server.clock.monotonic()
        if isinstance(conn.socket, ssl.SSLSocket) and conn.socket.pending():
            # already decrypted, so the socket itself may never become readable for it
            self.server.process_conn(conn)
            return
        super().put(conn)

    def _expire(self, threshold: float) -> None:  # noqa: ARG002 - wall time; the monotonic clock is asked instead
        now = self.server.clock.monotonic()
        for descriptor, connection in list(self._selector.connections):
            if connection is self.server:
                continue
            allowed = self.server.timeout if connection.fresh else IDLE_TIMEOUT
            if now - connection.used_at > allowed:
                self._selector.unregister(descriptor)
                connection.close()
        self._cut_off_slow_senders(now)

    def _cut_off_slow_senders(self, now: float) -> None:
        for connection in self.server.busy_connections():
            since = connection.busy_since
            if since is not None and now - since > self.server.request_deadline:
                try:
                    # only the reading side: a request that was read whole still gets its answer
                    socket.socket.shutdown(connection.socket, socket.SHUT_RD)
                except OSError:
                    pass  # it ended meanwhile
