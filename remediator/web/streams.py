"""Server-sent events: connections taken off the server's threads, a bounded number, written by one thread of their own.

The thread lives while somebody listens. A reader that does not keep up waits, and goes on where it was: nothing is left
out.
"""

from __future__ import annotations

import json
import logging
import select
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from remediator.model import Json
from selfheal.common.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

MOST = 32
"""Readers at one time."""
LOOK_EVERY = 0.5
"""Seconds between two looks for new events."""
BATCH = 100
"""Events read for one reader at once."""
WAITING = 256 * 1024
"""Bytes that wait for a reader; more events are read for it only when it has taken them."""
BEAT_EVERY = 15.0
"""Seconds after which a reader that was sent nothing gets an empty comment, so that a lost connection shows."""
ASK_EVERY = 5.0
"""Seconds after which it is asked again whether a reader may still listen: a key can be taken away."""
STUCK = 60.0
"""Seconds without taking a byte after which a reader is let go; it can come back with the last id it has seen."""
HELLO = b"retry: 3000\n\n"
BEAT = b": still here\n\n"


class EventReader(Protocol):
    """What is read of the store."""

    def audit_entries(self, after: int, limit: int) -> Json:
        """Return `{"items": [...], "next": ...}`: up to `limit` events later than id `after`, the oldest first."""
        ...


class TooMany(Exception):
    """As many readers as possible are listening."""


class _Stream:
    """One reader: how far it has been told, and what waits to be sent."""

    def __init__(
        self, sock: socket.socket, chunked: bool, after: int, now: float, may_listen: Callable[[], bool]
    ) -> None:
        self.sock = sock
        self.after = after
        self.may_listen = may_listen
        self.taken_at = self.told_at = self.asked_at = now
        self._chunked = chunked
        self._waiting = bytearray()
        # a TLS connection must offer the same bytes again
        self._offered = b""
        sock.setblocking(False)
        self.tell(HELLO, now)

    @property
    def full(self) -> bool:
        return len(self._waiting) + len(self._offered) >= WAITING

    @property
    def has_more(self) -> bool:
        return bool(self._waiting or self._offered)

    def tell(self, text: bytes, now: float) -> None:
        self._waiting += b"%x\r\n%b\r\n" % (len(text), text) if self._chunked else text
        self.told_at = now

    def send(self, now: float) -> None:
        """Send what can be sent. Raise OSError if the reader is gone."""
        while self.has_more:
            if not self._offered:
                self._offered = bytes(self._waiting[:16_384])
                del self._waiting[:16_384]
            try:
                sent = self.sock.send(self._offered)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            self._offered = self._offered[sent:]
            self.taken_at = now
        self.taken_at = now

    def gone(self) -> bool:
        """Say whether the reader has closed; what it may send is not looked at."""
        try:
            return self.sock.recv(4_096) == b""
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            return True


class Streams:
    """All readers of events."""

    def __init__(
        self,
        reader: Callable[[], AbstractContextManager[EventReader]],
        clock: Clock | None = None,
        most: int = MOST,
    ) -> None:
        self._reader = reader
        self._clock = clock or SystemClock()
        self._most = most
        self._lock = threading.Lock()
        self._streams: list[_Stream] = []
        self._promised = 0
        self._running = False
        self._stop = False

    def __len__(self) -> int:
        with self._lock:
            return len(self._streams)

    def promise(
        self, after: int, may_listen: Callable[[], bool] = lambda: True
    ) -> Callable[[socket.socket, bool], None]:
        """Keep a place and return what takes the connection: it is told all later than event `after`. Raise TooMany.

        `may_listen` is asked now and then for as long as it listens; once it says no, the connection ends.
        """
        with self._lock:
            if len(self._streams) + self._promised >= self._most or self._stop:
                raise TooMany(f"{self._most} readers listen already")
            self._promised += 1
        return lambda sock, chunked: self._take(sock, chunked, after, may_listen)

    def stop(self) -> None:
        """Let all readers go."""
        with self._lock:
            self._stop = True

    def _take(self, sock: socket.socket, chunked: bool, after: int, may_listen: Callable[[], bool]) -> None:
        try:
            stream = _Stream(sock, chunked, after, self._clock.monotonic(), may_listen)
        except OSError:
            # it went away between its request and now
            sock.close()
            with self._lock:
                self._promised -= 1
            return
        with self._lock:
            self._promised -= 1
            self._streams.append(stream)
            begin, self._running = not self._running, True
        if begin:
            threading.Thread(target=self._run, name="events", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._stop:
                    for stream in self._streams:
                        _close(stream.sock)
                    self._streams.clear()
                streams = list(self._streams)
                if not streams:
                    self._running = False
                    return
            self._turn(streams)

    def _turn(self, streams: list[_Stream]) -> None:
        """Read what is new, send what can be sent, let go who is gone; then wait for the next look."""
        now = self._clock.monotonic()
        streams = [stream for stream in streams if self._still_may(stream, now)]
        try:
            self._read(streams, now)
        except Exception:
            # a border: the store may be unreadable just now, and the readers keep waiting
            logger.warning("events not readable", exc_info=True)
        left = [stream for stream in streams if self._serve(stream, now)]
        # not select(): that raises for a descriptor above 1,023
        waiting = select.poll()
        for stream in left:
            if stream.has_more:
                waiting.register(stream.sock, select.POLLOUT)
        waiting.poll(LOOK_EVERY * 1_000)

    def _still_may(self, stream: _Stream, now: float) -> bool:
        """Let go who may not listen any more; say whether it may."""
        if now - stream.asked_at < ASK_EVERY:
            return True
        stream.asked_at = now
        try:
            if stream.may_listen():
                return True
        except Exception:
            # whoever cannot be judged does not listen on
            logger.exception("reader not judged")
        self._let_go(stream)
        return False

    def _read(self, streams: list[_Stream], now: float) -> None:
        ready = [stream for stream in streams if not stream.full]
        if not ready:
            return
        with self._reader() as reader:
            for stream in ready:
                for event in reader.audit_entries(stream.after, BATCH)["items"]:
                    stream.tell(written(event), now)
                    stream.after = int(event["id"])

    def _serve(self, stream: _Stream, now: float) -> bool:
        """Send to one reader; say whether it is still there."""
        if now - stream.told_at >= BEAT_EVERY:
            stream.tell(BEAT, now)
        try:
            stream.send(now)
            gone = stream.gone() or (stream.has_more and now - stream.taken_at > STUCK)
        except OSError:
            gone = True
        if gone:
            self._let_go(stream)
        return not gone

    def _let_go(self, stream: _Stream) -> None:
        _close(stream.sock)
        with self._lock:
            self._streams.remove(stream)


def written(event: Json) -> bytes:
    """Given an entry of the history, return it as server-sent events want it. JSON holds no bare line break."""
    data = json.dumps(shown(event))
    return f"id: {event['id']}\nevent: {event['kind']}\ndata: {data}\n\n".encode()


def shown(event: Json) -> Json:
    """Given an entry of the history, return it as an event: without its hash, which is of the audit."""
    return {key: value for key, value in event.items() if key != "hash"}


def _close(sock: socket.socket) -> None:
    try:
        # the plain one: with TLS, closing waits for nobody
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # it has gone
    sock.close()
