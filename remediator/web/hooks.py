"""`POST /hooks/alertmanager`: who may deliver, how much, and which answer makes Alertmanager try again.

A thin WSGI function before Flask, because a storm comes through here. 200 means on disk; what cannot be stored now is
503, never a 4xx that Alertmanager would give up on; what an alert causes never chooses the answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from remediator.errors import StoreUnavailable
from remediator.web.metrics import Metrics
from remediator.web.payload import NotAPayload, parse
from remediator.web.server import BODY_LIMIT
from remediator.web.service import Access, Service
from remediator.web.signatures import Signatures
from remediator.web.thin import Environ, StartResponse, peer_of, refuse
from selfheal.common.clock import Clock, SystemClock

logger = logging.getLogger(__name__)

PATH = "/hooks/alertmanager"
AT_ONCE = 34
"""Deliveries taken at one time; the other threads stay free for the page and the metrics."""
BYTES_AT_ONCE = 64 * 1024 * 1024
"""Bytes of all bodies held at one time."""


class _Answer(Exception):
    """An answer other than 200, with the result it is counted as."""

    def __init__(self, status: int, result: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.result = result
        self.detail = detail


class Intake:
    """How many deliveries, of how many bytes, are being taken in right now."""

    def __init__(self, at_once: int = AT_ONCE, bytes_at_once: int = BYTES_AT_ONCE) -> None:
        self._at_once, self._bytes_at_once = at_once, bytes_at_once
        self._lock = threading.Lock()
        self._count = 0
        self._bytes = 0

    def enter(self, size: int) -> bool:
        """Take a place for a body of `size` bytes; say whether there was one."""
        with self._lock:
            # one alone is always let in, so that a limit set too low cannot shut the door for good
            if self._count and (self._count >= self._at_once or self._bytes + size > self._bytes_at_once):
                return False
            self._count += 1
            self._bytes += size
            return True

    def leave(self, size: int) -> None:
        """Give the place back."""
        with self._lock:
            self._count -= 1
            self._bytes -= size

    def in_flight(self) -> int:
        """Return how many deliveries are being taken in."""
        return self._count


class Hook:
    """The hook as a WSGI application."""

    def __init__(
        self,
        service: Service,
        access: Access,
        metrics: Metrics,
        intake: Intake | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._service = service
        self._access = access
        self._clock = clock or SystemClock()
        self._signatures = None if access.hmac is None else Signatures(access.hmac)
        self._metrics = metrics
        self._intake = intake or Intake()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            self._take(environ)
        except _Answer as answer:
            self._metrics.count("deliveries", result=answer.result)
            return _reply(start_response, answer.status, answer.detail)
        self._metrics.count("deliveries", result="stored")
        return _reply(start_response, 200, "")

    def unavailable(self, start_response: StartResponse, why: str) -> Iterable[bytes]:
        """Answer a delivery that cannot be taken just now, so that it comes again."""
        self._metrics.count("deliveries", result="unavailable")
        return _reply(start_response, 503, why)

    def _take(self, environ: Environ) -> None:
        signatures = self._admit(environ)
        size = _length(environ)
        if not self._intake.enter(size):
            raise _Answer(503, "unavailable", "too many deliveries at once; try again")
        try:
            body = _read(environ, size)
            if signatures is not None and not signatures.are_right(environ, body, self._clock.now()):
                raise self._unknown(environ)
            self._store(body)
            if signatures is not None:
                signatures.keep(environ, self._clock.now())
        finally:
            self._intake.leave(size)

    def _admit(self, environ: Environ) -> Signatures | None:
        """Return what must judge the body, if only its signature can let it in."""
        signatures = None
        if not self._access.may_deliver(environ.get("HTTP_AUTHORIZATION", ""), peer_of(environ)):
            signatures = self._signatures
            if signatures is None or signatures.signed(environ) is None:
                raise self._unknown(environ)
        if "HTTP_ORIGIN" in environ:
            # only browsers send it, and no browser delivers alerts
            raise _Answer(403, "unauthorized", "the hook is not for browsers")
        if environ["REQUEST_METHOD"] not in ("POST", "PUT"):
            raise _Answer(405, "malformed", "alerts are delivered with POST")
        return signatures

    def _unknown(self, environ: Environ) -> _Answer:
        # fixed message: the credential itself never reaches the log
        logger.warning("hook refused a credential", extra={"peer": environ.get("REMOTE_ADDR", "")})
        return _Answer(401, "unauthorized", "the hook's bearer token, or another configured credential, is needed")

    def _store(self, body: bytes) -> None:
        try:
            self._service.receive(parse(body))
        except NotAPayload as error:
            raise _Answer(400, "malformed", str(error)) from error
        except StoreUnavailable as error:
            self._metrics.count("store_errors")
            raise _Answer(503, "unavailable", "the alerts could not be stored; try again") from error
        except Exception as error:
            # a border: whatever went wrong, the alert is not stored, so Alertmanager must try again
            logger.exception("delivery not taken")
            self._metrics.count("stage_errors", stage="receive")
            raise _Answer(503, "unavailable", "the alerts could not be stored; try again") from error


def _length(environ: Environ) -> int:
    if environ.get("wsgi.input_terminated"):
        # chunked: how long it is shows only at its end, so room is kept for the longest
        return BODY_LIMIT
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if size > BODY_LIMIT:
        raise _Answer(413, "too_large", f"a delivery holds at most {BODY_LIMIT} bytes")
    return size


def _read(environ: Environ, size: int) -> bytes:
    stream = environ["wsgi.input"]
    if not environ.get("wsgi.input_terminated"):
        body: bytes = stream.read(size)
        if len(body) < size:
            raise _Answer(400, "malformed", "the body ended before its Content-Length")
        return body
    try:
        body = stream.read()
    except TimeoutError:
        # the server answers a client that stopped in the middle
        raise
    except ValueError as error:
        raise _Answer(400, "malformed", "the chunks of the body are broken") from error
    except Exception as error:
        # the server's own errors for a chunked body beyond the limit have no common class
        raise _Answer(413, "too_large", f"a delivery holds at most {BODY_LIMIT} bytes") from error
    return body


def _reply(start_response: StartResponse, status: int, detail: str) -> Iterable[bytes]:
    if status == 200:
        start_response("200 OK", [("Content-Length", "0")])
        return ()
    return refuse(start_response, status, detail, "POST")
