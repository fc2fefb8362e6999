"""The HTTP/1.1 server: one thread per kept connection, all of them bounded in number, size and time."""

from __future__ import annotations

import errno
import select
import selectors
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger

from exporter.encode import Family, Metric
from exporter.messages import (
    MOST_HEAD_BYTES,
    STATUSES,
    BadRequestError,
    Request,
    Response,
    parse_request,
    render_response,
)
from selfheal.common.clock import Clock

Answer = Callable[[Request], Response]

logger = getLogger(__name__)

_RESPONSES = Metric("selfheal_exporter_http_responses_total", "counter", "Answers by status code.", ("code",))
_DROPPED = Metric(
    "selfheal_exporter_http_connections_dropped_total",
    "counter",
    "Connections ended by the exporter: idle ones that made room, refused for want of room, or too slow.",
    ("reason",),
)
_OPEN = Metric("selfheal_exporter_http_connections", "gauge", "Open connections.")

_DROP_REASONS = ("evicted", "refused", "slow")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, and how long each part of one may take."""

    connections: int = 40
    head_seconds: float = 5.0
    idle_seconds: float = 120.0
    write_seconds: float = 10.0


class _Connection:
    """One connection; `waiting_since` is None while a request of it is being answered."""

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.sock = sock
        self.waiting_since: float | None = now
        self.buffer = b""

    def shut(self) -> None:
        """End it from another thread: the thread that reads from it sees the end."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # the other side was faster
            pass


class Server:
    """Listens on one address from the beginning; answers once it serves."""

    def __init__(
        self,
        address: tuple[str, int],
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()
        self._responses = dict.fromkeys(STATUSES, 0)
        self._dropped = dict.fromkeys(_DROP_REASONS, 0)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listener = socket.create_server(address, family=family, backlog=128)
        self._listener.setblocking(False)
        self._wake_in, self._wake_out = socket.socketpair()
        self.port: int = self._listener.getsockname()[1]

    def families(self) -> list[Family]:
        """Return the server's own metrics."""
        with self._lock:
            return [
                _OPEN.only(len(self._connections)),
                _DROPPED.of({(reason,): count for reason, count in self._dropped.items()}),
                _RESPONSES.of({(str(status),): count for status, count in self._responses.items()}),
            ]

    def serve(self, answer: Answer) -> None:
        """Answer each request with what `answer` returns, until `stop` is called; then end all connections."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake_in, selectors.EVENT_READ)
            while not any(key.fileobj is self._wake_in for key, _ in selector.select()):
                if not self._accept(answer):
                    # descriptors have run out: the caller still waits, and asking at once again would spin
                    select.select([self._wake_in], [], [], 0.1)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                connection.shut()
        self._wake_in.close()
        self._wake_out.close()

    def stop(self) -> None:
        """Make `serve` return; may be called from a signal handler and more than once."""
        try:
            self._wake_out.send(b"x")
        except OSError:
            # it has ended already
            pass

    def _accept(self, answer: Answer) -> bool:
        """Begin a conversation with the next caller; say whether descriptors are left for more."""
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            # unless descriptors have run out, the caller only went away again
            return error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
        connection = _Connection(sock, self._clock.monotonic())
        with self._lock:
            admitted = self._make_room()
            if admitted:
                self._connections.add(connection)
        if not admitted:
            self._refuse(connection)
            return True
        try:
            threading.Thread(target=self._converse, args=(connection, answer), name="http", daemon=True).start()
        except RuntimeError:
            # the system gives no more threads
            self._refuse(connection)
            self._leave(connection)
        return True

    def _make_room(self) -> bool:
        """Say whether one more fits; if all places are taken, the one that has been waiting longest gives up its."""
        if len(self._connections) < self._limits.connections:
            return True
        waiting = [connection for connection in self._connections if connection.waiting_since is not None]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda connection: connection.waiting_since or 0.0)
        oldest.shut()
        self._connections.discard(oldest)
        self._dropped["evicted"] += 1
        return True

    def _refuse(self, connection: _Connection) -> None:
        # counted, not logged: whoever floods the port must not fill the log too
        self._count_drop("refused")
        try:
            connection.sock.setblocking(False)
            self._send(connection, Response(503, b"503: too many connections\n"), None)
        except OSError:
            # it is refused all the same
            pass
        connection.sock.close()

    def _converse(self, connection: _Connection, answer: Answer) -> None:
        try:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._turn(connection, answer):
                pass
            _let_read(connection.sock)
        except TimeoutError:
            self._count_drop("slow")
        except OSError:
            # the other side went away
            pass
        finally:
            self._leave(connection)
            connection.sock.close()

    def _turn(self, connection: _Connection, answer: Answer) -> bool:
        """Read one request and answer it; say whether the connection goes on."""
        connection.waiting_since = self._clock.monotonic()
        request: Request | None = None
        try:
            head = self._read_head(connection)
            if head is None:
                return False
            connection.waiting_since = None
            request = parse_request(head)
            response = _answered(answer, request)
        except BadRequestError as error:
            response = Response(error.status, f"{error.status}: {error}\n".encode())
        connection.sock.settimeout(self._limits.write_seconds)
        self._send(connection, response, request)
        return request is not None and request.keep_alive

    def _read_head(self, connection: _Connection) -> bytes | None:
        """Return the next request's head, or None if the other side has nothing more to ask.

        Raise TimeoutError if one has begun and does not end in time, BadRequestError if it is too large.
        """
        limits, clock = self._limits, self._clock
        deadline = clock.monotonic() + (limits.head_seconds if connection.buffer else limits.idle_seconds)
        while (end := connection.buffer.find(b"\r\n\r\n")) < 0:
            if len(connection.buffer) > MOST_HEAD_BYTES:
                raise BadRequestError(f"the head is longer than {MOST_HEAD_BYTES} bytes", 431)
            begun = bool(connection.buffer)
            connection.sock.settimeout(max(0.001, deadline - clock.monotonic()))
            try:
                part = connection.sock.recv(MOST_HEAD_BYTES)
            except TimeoutError:
                if begun:
                    self._count_drop("slow")
                    raise BadRequestError("the request did not end in time", 408) from None
                return None
            if not part:
                return None
            # empty lines before a request are allowed and mean nothing
            connection.buffer = (connection.buffer + part) if begun else part.lstrip(b"\r\n")
            if not begun and connection.buffer:
                deadline = clock.monotonic() + limits.head_seconds
        head, connection.buffer = connection.buffer[:end], connection.buffer[end + 4 :].lstrip(b"\r\n")
        return head

    def _send(self, connection: _Connection, response: Response, request: Request | None) -> None:
        with self._lock:
            self._responses[response.status] += 1
        connection.sock.sendall(render_response(response, request, self._clock.now()))

    def _count_drop(self, reason: str) -> None:
        with self._lock:
            self._dropped[reason] += 1

    def _leave(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.discard(connection)


def _answered(answer: Answer, request: Request) -> Response:
    try:
        return answer(request)
    except BadRequestError:
        raise
    except Exception:
        # counted as a 500 when it is sent
        logger.exception("request failed", extra={"path": request.path})
        return Response(500, b"500: the exporter failed to answer; its log says why\n")


def _let_read(sock: socket.socket) -> None:
    """Close our half and wait shortly for the other: closing with bytes unread would take our answer away again."""
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(1.0)
    try:
        for _ in range(16):
            if not sock.recv(65536):
                return
    except TimeoutError:
        # long enough for an honest client
        pass
