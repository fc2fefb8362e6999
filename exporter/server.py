"""The HTTP/1.1 server: one thread per kept connection, all of them bounded in number, size and time."""

from __future__ import annotations

import errno
import select
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from logging import getLogger

from exporter.connection import Connection
from exporter.door import Door, OpenDoor
from exporter.encode import Family, Metric
from exporter.messages import STATUSES, BadRequestError, Request, Response, parse_request, render_response
from selfheal.common.clock import Clock

Answer = Callable[[Request], Response]

logger = getLogger(__name__)

_RESPONSES = Metric("selfheal_exporter_http_responses_total", "counter", "Answers by status code.", ("code",))
_DROPPED = Metric(
    "selfheal_exporter_http_connections_dropped_total",
    "counter",
    "Connections ended by the exporter: idle ones that made room, refused for want of room, too slow, or without the "
    "secrets that were asked for.",
    ("reason",),
)
_OPEN = Metric("selfheal_exporter_http_connections", "gauge", "Open connections.")

_DROP_REASONS = ("evicted", "handshake", "refused", "slow")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, and how long each part of one may take."""

    connections: int = 40
    head_seconds: float = 5.0
    idle_seconds: float = 120.0
    write_seconds: float = 10.0


class Server:
    """Has its listening sockets from the beginning; answers once it serves."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        clock: Clock,
        limits: Limits | None = None,
        door: Door | None = None,
    ) -> None:
        self._listeners = tuple(listeners)
        self._clock = clock
        self._limits = limits or Limits()
        self._door = door or OpenDoor()
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._responses = dict.fromkeys(STATUSES, 0)
        self._dropped = dict.fromkeys(_DROP_REASONS, 0)
        self._calls: deque[Callable[[], None]] = deque()
        self._ending = False
        for listener in self._listeners:
            listener.setblocking(False)
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)

    @property
    def port(self) -> int:
        """The port of the first listening socket."""
        return int(self._listeners[0].getsockname()[1])

    def families(self) -> list[Family]:
        """Return the server's own metrics."""
        with self._lock:
            return [
                _OPEN.only(len(self._connections)),
                _DROPPED.of({(reason,): count for reason, count in self._dropped.items()}),
                _RESPONSES.of({(str(status),): count for status, count in self._responses.items()}),
                *self._door.families(),
            ]

    def serve(self, answer: Answer, every: float | None = None, beat: Callable[[], None] = lambda: None) -> None:
        """Answer each request with what `answer` returns, until `stop` is called; then end all connections.

        `beat` is called at least every so many seconds while new connections are taken.
        """
        with selectors.DefaultSelector() as selector:
            for sock in (*self._listeners, self._wake_in):
                selector.register(sock, selectors.EVENT_READ)
            while not self._ending:
                ready = [key.fileobj for key, _ in selector.select(every)]
                beat()
                self._run_calls()
                left = [self._accept(sock, answer) for sock in self._listeners if sock in ready]
                if not all(left):
                    # descriptors have run out: the caller still waits, and asking at once again would spin
                    select.select([self._wake_in], [], [], 0.1)
        for listener in self._listeners:
            listener.close()
        with self._lock:
            for connection in self._connections:
                connection.shut()
        self._wake_in.close()
        self._wake_out.close()

    def stop(self) -> None:
        """Make `serve` return; may be called from a signal handler and more than once."""
        self._ending = True
        self._wake()

    def soon(self, call: Callable[[], None]) -> None:
        """Let the thread that serves make a call; for signal handlers, which must not do much themselves."""
        self._calls.append(call)
        self._wake()

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"x")
        except OSError:
            # it has ended already, or so many have called that it is about to wake
            pass

    def _run_calls(self) -> None:
        try:
            self._wake_in.recv(4096)
        except BlockingIOError:
            # nobody has called
            pass
        while self._calls:
            self._calls.popleft()()

    def _accept(self, listener: socket.socket, answer: Answer) -> bool:
        """Begin a conversation with the next caller; say whether descriptors are left for more."""
        try:
            sock, _ = listener.accept()
        except OSError as error:
            # unless descriptors have run out, the caller only went away again
            return error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
        connection = Connection(sock, self._clock.monotonic())
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

    def _refuse(self, connection: Connection) -> None:
        # counted, not logged: whoever floods the port must not fill the log too
        self._count_drop("refused")
        try:
            connection.sock.setblocking(False)
            self._send(connection, Response(503, b"503: too many connections\n"), None)
        except OSError:
            # it is refused all the same
            pass
        connection.sock.close()

    def _converse(self, connection: Connection, answer: Answer) -> None:
        try:
            if connection.sock.family in (socket.AF_INET, socket.AF_INET6):
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._let_in(connection):
                while self._turn(connection, answer):
                    pass
                # whoever lingers now gives up its place as one that waits does
                connection.waiting_since = self._clock.monotonic()
                connection.let_read()
        except TimeoutError:
            self._count_drop("slow")
        except OSError:
            # the other side went away
            pass
        finally:
            self._leave(connection)
            connection.sock.close()

    def _let_in(self, connection: Connection) -> bool:
        connection.sock.settimeout(self._limits.head_seconds)
        try:
            sock, connection.terms = self._door.wrap(connection.sock)
            with self._lock:
                connection.sock = sock
                # who wanted to end it meanwhile found a socket that was no longer in use
                if connection not in self._connections:
                    return False
            self._door.greet(sock, connection.terms)
        except TimeoutError:
            raise
        except OSError as error:
            self._count_drop("handshake")
            logger.debug("client not let in", extra={"reason": str(error)})
            return False
        return True

    def _turn(self, connection: Connection, answer: Answer) -> bool:
        """Read one request and answer it; say whether the connection goes on."""
        connection.waiting_since = self._clock.monotonic()
        limits, request = self._limits, None
        try:
            head = connection.read_head(self._clock, limits.head_seconds, limits.idle_seconds)
            if head is None or not self._door.still_holds(connection.terms):
                return False
            connection.waiting_since = None
            request = parse_request(head)
            refusal = self._door.refusal(request)
            if not self._door.still_holds(connection.terms):
                # the terms it was just judged by are not those under which it was let in
                return False
            response = refusal or _answered(answer, request)
        except BadRequestError as error:
            if error.status == 408:
                self._count_drop("slow")
            response = Response(error.status, f"{error.status}: {error}\n".encode())
        response = response.with_headers(self._door.headers())
        connection.sock.settimeout(limits.write_seconds)
        self._send(connection, response, request)
        return request is not None and request.keep_alive

    def _send(self, connection: Connection, response: Response, request: Request | None) -> None:
        with self._lock:
            self._responses[response.status] = self._responses.get(response.status, 0) + 1
        connection.sock.sendall(render_response(response, request, self._clock.now()))

    def _count_drop(self, reason: str) -> None:
        with self._lock:
            self._dropped[reason] += 1

    def _leave(self, connection: Connection) -> None:
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
