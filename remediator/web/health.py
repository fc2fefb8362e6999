"""`/-/healthy`, `/-/ready` and `/metrics`: for machines that watch this one."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from remediator.web.metrics import Metrics
from remediator.web.service import Access, Service
from remediator.web.thin import CAREFUL, Environ, StartResponse, peer_of, refuse, reply

logger = logging.getLogger(__name__)

HEALTHY = "/-/healthy"
READY = "/-/ready"
METRICS = "/metrics"
PATHS = (HEALTHY, READY, METRICS)
TEXT_TYPE = "text/plain; charset=utf-8"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """The three pages as a WSGI application."""

    def __init__(self, service: Service, access: Access, metrics: Metrics) -> None:
        self._service = service
        self._access = access
        self._metrics = metrics

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request for one of `PATHS`."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return refuse(start_response, 405, "this page is read with GET")
        trusted = self._access.may_look(environ.get("HTTP_AUTHORIZATION", ""), peer_of(environ))
        try:
            return self._answer(environ, start_response, trusted)
        except Exception:
            # the web's border: the traceback goes to the log, never to the client
            logger.exception("request failed")
            return refuse(start_response, 500, "an unexpected error; the log tells more")

    def _answer(self, environ: Environ, start_response: StartResponse, trusted: bool) -> Iterable[bytes]:
        if environ["PATH_INFO"] == METRICS:
            if not trusted:
                return refuse(start_response, 401, "a credential of the API is needed here")
            return self._text(environ, start_response, 200, self._metrics.render(), METRICS_TYPE)
        if environ["PATH_INFO"] == HEALTHY:
            return self._text(environ, start_response, 200, b"healthy\n")
        problems = self._service.problems()
        if not problems:
            return self._text(environ, start_response, 200, b"ready\n")
        told = problems if trusted else ["not ready"]
        return self._text(environ, start_response, 503, "".join(f"{line}\n" for line in told).encode())

    def _text(
        self, environ: Environ, start_response: StartResponse, status: int, body: bytes, kind: str = TEXT_TYPE
    ) -> Iterable[bytes]:
        answer = reply(start_response, status, body, CAREFUL | {"Content-Type": kind})
        return () if environ["REQUEST_METHOD"] == "HEAD" else answer
