"""The door with `--web.config.file`: TLS, passwords, headers and a rate limit, as the file says at each moment."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path

from exporter.door import RefusedError
from exporter.encode import Family, Metric
from exporter.limits import Bucket
from exporter.messages import Request, Response
from selfheal.common.clock import Clock
from selfheal.common.passwords import Passwords, basic_credentials
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.tls import client_is_allowed, server_context
from selfheal.common.watched import Watched
from selfheal.common.web_config import WebConfig
from selfheal.common.web_config_file import read_web_config

logger = getLogger(__name__)

_BROKEN = Metric(
    "selfheal_exporter_web_config_failures_total",
    "counter",
    "How often the file of --web.config.file was found broken; nobody is let in until it is mended.",
)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the file asks for, ready to be used."""

    config: WebConfig
    context: ssl.SSLContext | None
    bucket: Bucket | None


class GuardedDoor:
    """Asks of everybody what the file asks; while the file is broken nobody is let in."""

    def __init__(self, path: Path, clock: Clock, allows_anyone: bool) -> None:
        """Read the file. Raise ConfigError with all that is wrong, also if nobody is asked though everybody may come.

        `allows_anyone` is false if others can reach us and it was not said that this is meant.
        """
        self._path = path
        self._clock = clock
        self._allows_anyone = allows_anyone
        self._lock = threading.Lock()
        self._passwords = Passwords()
        self._failures = 0
        self._complaint = ""
        self._watched = Watched(self._read, lambda terms: terms.config.files, clock)
        if self.config.users and self.config.tls is None and not allows_anyone:
            logger.warning("passwords are readable on the way", extra={"remedy": "add tls_server_config"})

    @property
    def config(self) -> WebConfig:
        """Return what the file asked for when it was last in order."""
        return self._watched.last_good.config

    def check(self) -> None:
        """Raise ConfigError with all that is wrong with the file as it is now."""
        self._read()

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, object]:
        """Speak through TLS if the file says so. Raise RefusedError if it is broken and was not readable before."""
        try:
            terms = self._current()
        except ValueError as error:
            if self._watched.last_good.context is not None:
                raise RefusedError("the web configuration is broken") from error
            # without TLS it can be told what is wrong
            return sock, None
        if terms.context is None:
            return sock, None
        wrapped = terms.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, terms.context

    def greet(self, sock: socket.socket, terms: object, /) -> None:
        """Shake hands, and look at the client's names. Raise OSError if that fails or it is not allowed."""
        if not isinstance(sock, ssl.SSLSocket):
            return
        try:
            sock.do_handshake()
        except ssl.SSLError as error:
            if error.reason == "HTTP_REQUEST":
                text = b"400: this port speaks HTTPS\n"
                head = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(text)
                socket.socket.sendall(sock, head + text)
            raise
        tls = self.config.tls
        if terms is self._watched.last_good.context and tls and not client_is_allowed(sock, tls.client_names):
            raise RefusedError("the client's certificate has none of the names in client_allowed_sans")

    def still_holds(self, terms: object, /) -> bool:
        """Say whether TLS is asked for exactly as when this connection began; what is broken changes nothing."""
        try:
            return self._current().context is terms
        except ValueError:
            return self._watched.last_good.context is terms

    def refusal(self, request: Request, /) -> Response | None:
        """Refuse with 500 while the file is broken, 429 what comes too often, 401 who does not know a password."""
        try:
            terms = self._current()
        except ValueError:
            return Response(500, b"500: the web configuration is broken; the exporter's log says why\n")
        if terms.bucket is not None:
            with self._lock:
                if not terms.bucket.take(self._clock.monotonic()):
                    return Response(429, b"429: too many requests; try again later\n")
        users = terms.config.users
        if users:
            name, password = basic_credentials(request.headers.get("authorization", ""))
            if name is None or not self._passwords.are_right(users, name, password):
                return Response(401, b"401: name or password is wrong\n", headers={"WWW-Authenticate": "Basic"})
        return None

    def headers(self) -> Mapping[str, str]:
        """Return the headers that the file sets."""
        return self.config.headers

    def families(self) -> list[Family]:
        """Return how often the file was found broken."""
        return [_BROKEN.only(self._failures)]

    def _read(self) -> _Terms:
        config = read_web_config(self._path)
        if not (config.asks_who or self._allows_anyone):
            what = "lets in everybody, and others can reach --web.listen-address"
            remedy = "add basic_auth_users or client certificates, or start with --web.allow-anyone"
            raise ConfigError([Problem(str(self._path), "", what, remedy)])
        context = server_context(config.tls, self._path) if config.tls else None
        rate = config.rate
        bucket = Bucket(rate.interval, rate.burst, self._clock.monotonic()) if rate else None
        return _Terms(config, context, bucket)

    def _current(self) -> _Terms:
        try:
            terms = self._watched.current()
        except ValueError as error:
            with self._lock:
                if str(error) != self._complaint:
                    self._complaint = str(error)
                    self._failures += 1
                    logger.error("web configuration is broken", extra={"reason": str(error)})
            raise
        if self._complaint:
            with self._lock:
                self._complaint = ""
            logger.info("web configuration is in order again", extra={"file": str(self._path)})
        return terms
