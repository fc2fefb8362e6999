"""Puts hook, API, page and metrics behind one WSGI application."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask

from remediator.web import api, health, page
from remediator.web.hooks import PATH, Environ, Hook, Intake, StartResponse
from remediator.web.metrics import Metrics
from remediator.web.service import Access, Service

ASKED_LIMIT = 64 * 1024
"""Bytes of a request's body outside the hook."""


class WebApp:
    """The hook by its own thin way, everything else through Flask."""

    def __init__(self, hook: Hook, flask: Flask) -> None:
        self._hook = hook
        self.flask = flask

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") == PATH:
            return self._hook(environ, start_response)
        answer: Iterable[bytes] = self.flask.wsgi_app(environ, start_response)
        return answer


def make_app(service: Service, access: Access, metrics: Metrics, intake: Intake | None = None) -> WebApp:
    """Given the program behind it, who may ask, and the metrics, return the WSGI application.

    `intake` tells how many deliveries are in flight; pass one to let the engine wait for them.
    """
    flask = Flask(__name__, static_folder=None)
    flask.config["MAX_CONTENT_LENGTH"] = ASKED_LIMIT
    flask.json.sort_keys = False  # type: ignore[attr-defined]
    api.add_routes(flask, service, access)
    health.add_routes(flask, service, access, metrics)
    page.add_routes(flask, service, access)
    return WebApp(Hook(service, access, metrics, intake), flask)
