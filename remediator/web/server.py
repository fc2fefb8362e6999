"""The HTTP server under hook, API and page: cheroot with limits raised, and slow or mute clients kept off its threads.

Two of cheroot's private names are used here (`_from_server_socket`, `_selector`), which is why its version is pinned.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

from cheroot import server as http
from cheroot import wsgi
from cheroot.connections import ConnectionManager

from selfheal.common.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

THREADS = 64
"""More than the keep-alive connections of a storm: all of them wait for a commit at once."""
BODY_LIMIT = 10 * 1024 * 1024
HEADER_LIMIT = 64 * 1024
CONNECTIONS = 384
"""Beyond these a new connection is closed at once."""
KEEP_ALIVE = 256
BACKLOG = 128
QUEUE = 256
"""Connections with something to read that may wait for a thread; beyond these the answer is 503."""
READ_TIMEOUT = 10
"""Seconds that a client may stay silent in the middle of a request, or before its first."""
IDLE_TIMEOUT = 90.0
"""Seconds that a kept connection may stay idle."""
LINGER = 1.0
"""Seconds that a refused client may go on sending, so that it reads why instead of meeting a reset."""
LINGER_BYTES = 32 * 1024 * 1024
REQUEST_DEADLINE = 30.0
"""Seconds from a request's first byte until its sender, however slowly it drips, is cut off."""


class _Request(http.HTTPRequest):
    """A request whose length is believable and whose refusals are counted."""

    def read_request_headers(self) -> bool:
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
        if str(status).startswith("413"):
            self.server.on_too_large(getattr(self, "path", b"").decode("latin-1"))
        self.conn.refused = True
        super().simple_response(status, msg)

    def send_headers(self) -> None:
        super().send_headers()
        # bytes, whatever the stubs say
        status: Any = self.status
        self.conn.refused = self.close_connection and status.startswith(b"4")


class _Connection(http.HTTPConnection):
    """A connection that knows since when a thread has been occupied with its request."""

    RequestHandlerClass = _Request
    busy_since: float | None = None
    fresh = True
    refused = False

    def communicate(self) -> bool:
        self.busy_since = self.server.clock.monotonic()
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call]
        finally:
            self.busy_since = None
            self.fresh = False

    def close(self) -> None:
        if self.refused:
            self.refused = False
            self._let_it_finish()
        super().close()

    def _let_it_finish(self) -> None:
        clock: Clock = self.server.clock
        deadline, left = clock.monotonic() + LINGER, LINGER_BYTES
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(LINGER)
            while left > 0 and clock.monotonic() < deadline and (part := self.socket.recv(65_536)):
                left -= len(part)
        except OSError:
            pass  # it has gone, or says nothing more


class _Connections(ConnectionManager):
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
        conn.used_at = self.server.clock.monotonic()
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
                    connection.socket.shutdown(socket.SHUT_RD)
                except OSError:
                    pass  # it ended meanwhile


class _Server(wsgi.Server):
    """cheroot's server with our connections, our limits and our log."""

    ConnectionClass = _Connection
    _connections: Any
    keep_alive_conn_limit = KEEP_ALIVE
    max_request_body_size = BODY_LIMIT
    max_request_header_size = HEADER_LIMIT
    clock: Clock
    on_too_large: Callable[[str], None]
    request_deadline: float

    def prepare(self) -> None:
        super().prepare()
        self._connections._selector.close()
        self._connections = _Connections(self)

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: Any) -> Any:
        try:
            socket_.bind(bind_addr)
        except OSError:
            # cheroot would leave it to the garbage collector
            socket_.close()
            raise
        return socket_

    def busy_connections(self) -> list[Any]:
        return [thread.conn for thread in list(self.requests._threads) if thread.conn is not None]

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        # the message can hold a client's bytes, so it is a field; a client that goes away is no error of ours
        logger.log(min(level, logging.WARNING), "http server", exc_info=traceback, extra={"detail": msg})


class WebServer:
    """Serves one WSGI application on one address until it is stopped."""

    def __init__(
        self,
        address: tuple[str, int],
        app: Callable[..., Any],
        on_too_large: Callable[[str], None] = lambda _path: None,
        clock: Clock | None = None,
        threads: int = THREADS,
    ) -> None:
        server = _Server(
            address,
            app,
            numthreads=threads,
            max=threads,
            server_name="selfheal",
            request_queue_size=BACKLOG,
            timeout=READ_TIMEOUT,
            shutdown_timeout=5,
            accepted_queue_size=QUEUE,
            accepted_queue_timeout=0,
        )
        server.clock = clock or SystemClock()
        server.on_too_large = on_too_large
        server.request_deadline = REQUEST_DEADLINE
        self._server = server
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen and serve on threads of its own; requests are answered when this returns. Raise OSError if taken."""
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """The address it listens on; the port is the real one where 0 was asked for."""
        host, port = self._server.bind_addr[:2]
        return host, port

    @property
    def url(self) -> str:
        """The address as a URL."""
        host, port = self.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def stop(self) -> None:
        """Stop listening, let requests in flight end, and join every thread."""
        if self._thread is None:
            return
        self._server.stop()
        self._thread.join()
        self._thread = None
