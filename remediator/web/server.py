"""The HTTP server under hook, API and page: cheroot with limits raised, and slow or mute clients kept off its threads.

TLS is spoken when the door says so; its handshake happens on a worker's thread, once there is something to read.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cheroot import wsgi

from remediator.web.connections import Adapter, Connection, Connections, Gateway
from selfheal.common.clock import Clock, SystemClock

if TYPE_CHECKING:
    from remediator.web.door import Door

logger = logging.getLogger(__name__)

THREADS = 24
"""Requests that wait for one commit together. More answer a storm no sooner, and each thread keeps memory."""
BODY_LIMIT = 10 * 1024 * 1024
HEADER_LIMIT = 64 * 1024
KEEP_ALIVE = 256
BACKLOG = 128
QUEUE = 256
"""Connections with something to read that may wait for a thread; beyond these the answer is 503."""
READ_TIMEOUT = 10
"""Seconds that a client may stay silent in the middle of a request, or before its first."""
REQUEST_DEADLINE = 30.0
"""Seconds from a request's first byte until its sender, however slowly it drips, is cut off."""


class _Server(wsgi.Server):
    """cheroot's server with our connections, our limits and our log."""

    ConnectionClass = Connection
    _connections: Any
    keep_alive_conn_limit = KEEP_ALIVE
    max_request_body_size = BODY_LIMIT
    max_request_header_size = HEADER_LIMIT
    clock: Clock
    door: Door | None
    on_too_large: Callable[[str], None]
    request_deadline: float

    def prepare(self) -> None:
        super().prepare()
        self._connections._selector.close()
        self._connections = Connections(self)

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
        door: Door | None = None,
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
        server.gateway = Gateway
        server.door = door
        if door is not None:
            server.ssl_adapter = Adapter(door)
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
        door = self._server.door
        scheme = "https" if door is not None and door.config.tls is not None else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    def stop(self) -> None:
        """Stop listening, let requests in flight end, and join every thread."""
        if self._thread is None:
            return
        self._server.stop()
        self._thread.join()
        self._thread = None
