"""The door with `web_config_file`: TLS, passwords, headers and a rate limit, as the file says at each moment.

While the file is broken nobody is let in: the answer is 503, so that Alertmanager tries again.
"""

from __future__ import annotations

import logging
import pickle
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from remediator.shell import run_own
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.passwords import Passwords, basic_credentials
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.tls import client_is_allowed, server_context
from selfheal.common.watched import Watched
from selfheal.common.web_config import ClientAuth, Rate, WebConfig

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks at the files: reading them starts a process, and a broken file is read at every look."""
LONGEST = 30.0
"""Seconds that reading may take."""
READER = "selfheal.common.web_config_apart"
PLAIN = b"400: this port speaks HTTPS\n"


class NotLetIn(OSError):
    """This connection is not let in."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the file asks for, ready to be used."""

    config: WebConfig
    context: ssl.SSLContext | None


class Bucket:
    """Tokens that come back one per `interval` seconds, `burst` of them at most."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now
        self._lock = threading.Lock()

    def take(self, now: float) -> bool:
        """Given the monotonic time, take a token; say whether there was one."""
        with self._lock:
            self._tokens = min(self._rate.burst, self._tokens + (now - self._at) / self._rate.interval)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def read_apart(path: Path) -> WebConfig:
    """Given the file, return what it asks for, read by another process. Raise ConfigError with all that is wrong."""
    code, output = run_own(READER, [str(path)], LONGEST)
    if code != 0:
        raise ConfigError([Problem(str(path), "", f"could not be read: the reader ended with {code}", "see the log")])
    # our own program wrote this into a pipe that only it has
    answer: WebConfig | ConfigError = pickle.loads(output)
    if isinstance(answer, ConfigError):
        raise answer
    return answer


class Door:
    """Asks of everybody what the file asks."""

    def __init__(
        self,
        path: Path,
        clock: Clock | None = None,
        *,
        must_ask: bool = False,
        read: Callable[[Path], WebConfig] = read_apart,
    ) -> None:
        """Read the file. Raise ConfigError with all that is wrong, also if `must_ask` and it lets in everybody."""
        self._path = path
        self._clock = clock or SystemClock()
        self._must_ask = must_ask
        self._read_file = read
        self._passwords = Passwords()
        self._lock = threading.Lock()
        self._bucket: tuple[Rate, Bucket] | None = None
        self._complaint = ""
        self._error: ValueError | None = None
        self._watched = Watched(self._read, lambda terms: terms.config.files, self._clock)
        self._looked_at = self._clock.monotonic()

    @property
    def config(self) -> WebConfig:
        """Return what the file asked for when it was last in order."""
        return self._watched.last_good.config

    @property
    def asks_passwords(self) -> bool:
        """Say whether there are users; also while the file is broken, for then nobody is let in without."""
        return bool(self.config.users)

    @property
    def verifies_clients(self) -> bool:
        """Say whether every connection has brought a certificate that a known authority signed."""
        tls = self.config.tls
        return tls is not None and tls.client_auth is ClientAuth.VERIFIED

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, object]:
        """Return the socket as it is spoken through, not greeted yet, and the terms it came under."""
        context = self._current().context
        if context is None:
            return sock, None
        # the handshake waits for the client, and this is the thread that takes in all others
        return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), context

    def greet(self, sock: socket.socket, terms: object) -> None:
        """Shake hands, and look at the client's names. Raise OSError if that fails or it is not allowed."""
        if not isinstance(sock, ssl.SSLSocket):
            return
        try:
            sock.do_handshake()
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                head = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(
                    PLAIN
                )
                socket.socket.sendall(sock, head + PLAIN)
            raise
        tls = self.config.tls
        if terms is self._watched.last_good.context and tls and not client_is_allowed(sock, tls.client_names):
            raise NotLetIn("the client's certificate has none of the names in client_allowed_sans")

    def still_holds(self, terms: object) -> bool:
        """Say whether TLS is asked for exactly as when this connection began; what is broken changes nothing."""
        return self._current().context is terms

    def refusal(self) -> str | None:
        """Say why nobody, or not so many, are let in just now, or None."""
        terms = self._current()
        if self._error is not None:
            return "the web configuration is broken; the log tells more"
        rate = terms.config.rate
        if rate is not None and not self._bucket_of(rate).take(self._clock.monotonic()):
            return "too many requests at once; try again"
        return None

    def knows(self, credential: str) -> str | None:
        """Given an Authorization header, return the user whose name and password it holds, or None."""
        users = self.config.users
        name, password = basic_credentials(credential)
        if not users or name is None or not self._passwords.are_right(users, name, password):
            return None
        return name

    def headers(self) -> Mapping[str, str]:
        """Return the headers that the file sets."""
        return self.config.headers

    def _bucket_of(self, rate: Rate) -> Bucket:
        with self._lock:
            if self._bucket is None or self._bucket[0] != rate:
                self._bucket = (rate, Bucket(rate, self._clock.monotonic()))
            return self._bucket[1]

    def _read(self) -> Terms:
        config = self._read_file(self._path)
        if self._must_ask and not config.asks_who:
            what = "lets in everybody, others can reach us, and hook or api has no credential of its own"
            raise ConfigError([Problem(str(self._path), "", what, "add basic_auth_users or client certificates")])
        return Terms(config, server_context(config.tls, self._path) if config.tls else None)

    def _current(self) -> Terms:
        """Return the terms in force; `_error` tells whether the file has become broken since they were read."""
        now = self._clock.monotonic()
        with self._lock:
            if now - self._looked_at < LOOK_EVERY:
                return self._watched.last_good
            self._looked_at = now
        try:
            terms = self._watched.current()
            if self._error is not None:
                logger.info("web configuration is in order again", extra={"file": str(self._path)})
            self._error, self._complaint = None, ""
            return terms
        except ValueError as error:
            self._error = error
            if str(error) != self._complaint:
                self._complaint = str(error)
                logger.error("web configuration is broken", extra={"problem": str(error)})
            return self._watched.last_good
