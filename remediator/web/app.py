"""Puts hook, health, API and page behind one WSGI application; what is large is loaded when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from remediator.web import health
from remediator.web.health import Health
from remediator.web.hooks import PATH, Hook, Intake
from remediator.web.metrics import Metrics
from remediator.web.service import Access, Service
from remediator.web.streams import Streams
from remediator.web.thin import Environ, StartResponse, refuse

if TYPE_CHECKING:
    from flask import Flask

    from remediator.web.api import Api
    from remediator.web.door import Door

API = "/api/"


class WebApp:
    """What machines ask all the time goes its own thin way; API and page are made when somebody first asks for them."""

    def __init__(
        self,
        hook: Hook,
        health: Health,
        make_api: Callable[[], Api],
        make_flask: Callable[[], Flask],
        door: Door | None = None,
    ) -> None:
        self._hook = hook
        self._health = health
        self._make_api, self._make_flask = make_api, make_flask
        self._door = door
        self._api: Api | None = None
        self._flask: Flask | None = None
        self._making = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if self._door is None:
            return self._answer(environ, start_response)
        start_response = with_headers(self._door, start_response)
        refusal = self._door.refusal()
        if refusal is not None and environ.get("PATH_INFO") == PATH:
            return self._hook.unavailable(start_response, refusal)
        if refusal is not None:
            return refuse(start_response, 503, refusal)
        return self._answer(environ, start_response)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == PATH:
            return self._hook(environ, start_response)
        if path in health.PATHS:
            return self._health(environ, start_response)
        if path.startswith(API):
            return self.api(environ, start_response)
        answer: Iterable[bytes] = self.flask.wsgi_app(environ, start_response)
        return answer

    @property
    def api(self) -> Api:
        """The API."""
        with self._making:
            if self._api is None:
                self._api = self._make_api()
            return self._api

    @property
    def flask(self) -> Flask:
        """The Flask application with the pages."""
        with self._making:
            if self._flask is None:
                self._flask = self._make_flask()
            return self._flask


def make_app(
    service: Service,
    access: Access,
    metrics: Metrics,
    intake: Intake | None = None,
    streams: Streams | None = None,
) -> WebApp:
    """Given the program behind it, who may ask, and the metrics, return the WSGI application.

    `intake` tells how many deliveries are in flight; pass one to let the engine wait for them. `streams` are the
    readers of events; pass them to let them go at the end.
    """

    def make_api() -> Api:
        from remediator.web.api import Api

        return Api(service, access, streams)

    def make_flask() -> Flask:
        # here and not above: Flask with what it needs is 8 MB that a remediator nobody looks at does not hold
        from flask import Flask

        from remediator.web import approve, page

        flask = Flask(__name__, static_folder=None)
        page.add_routes(flask, service, access)
        approve.add_routes(flask, service)
        return flask

    hook = Hook(service, access, metrics, intake)
    return WebApp(hook, Health(service, access, metrics), make_api, make_flask, access.door)


def with_headers(door: Door, start_response: StartResponse) -> StartResponse:
    """Return what begins an answer with the headers that the web configuration sets, and asks for a password at 401."""

    def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        set_ones = door.headers()
        named = {name.lower() for name in set_ones}
        kept = [pair for pair in headers if pair[0].lower() not in named]
        if status.startswith("401") and door.asks_passwords:
            kept.append(("WWW-Authenticate", 'Basic realm="selfheal"'))
        return start_response(status, [*kept, *set_ones.items()], *more)

    return begin
