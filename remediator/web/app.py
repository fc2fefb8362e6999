"""Puts hook, health, API and page behind one WSGI application."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from remediator.web import health
from remediator.web.health import Health
from remediator.web.hooks import PATH, Hook, Intake
from remediator.web.metrics import Metrics
from remediator.web.service import Access, Service
from remediator.web.thin import Environ, StartResponse

if TYPE_CHECKING:
    from flask import Flask

ASKED_LIMIT = 64 * 1024
"""Bytes of a request's body outside the hook."""


class WebApp:
    """What machines ask all the time goes its own thin way; the rest through Flask, loaded when somebody first asks."""

    def __init__(self, hook: Hook, health: Health, make_flask: Callable[[], Flask]) -> None:
        self._hook = hook
        self._health = health
        self._make_flask = make_flask
        self._flask: Flask | None = None
        self._making = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO")
        if path == PATH:
            return self._hook(environ, start_response)
        if path in health.PATHS:
            return self._health(environ, start_response)
        answer: Iterable[bytes] = self.flask.wsgi_app(environ, start_response)
        return answer

    @property
    def flask(self) -> Flask:
        """The Flask application, made when it is first needed."""
        with self._making:
            if self._flask is None:
                self._flask = self._make_flask()
            return self._flask


def make_app(service: Service, access: Access, metrics: Metrics, intake: Intake | None = None) -> WebApp:
    """Given the program behind it, who may ask, and the metrics, return the WSGI application.

    `intake` tells how many deliveries are in flight; pass one to let the engine wait for them.
    """
    hook = Hook(service, access, metrics, intake)
    return WebApp(hook, Health(service, access, metrics), lambda: _make_flask(service, access))


def _make_flask(service: Service, access: Access) -> Flask:
    # here and not above: Flask with what it needs is 8 MB that a remediator nobody looks at does not hold
    from flask import Flask

    from remediator.web import api, page

    flask = Flask(__name__, static_folder=None)
    flask.config["MAX_CONTENT_LENGTH"] = ASKED_LIMIT
    flask.json.sort_keys = False  # type: ignore[attr-defined]
    api.add_routes(flask, service, access)
    page.add_routes(flask, service, access)
    return flask
