"""The JSON API under `/api/v1`: upon werkzeug alone, for Flask brings as much again that only pages need.

What may be asked stands in the table of `routes.py`; here stands the order in which every request is looked at. Lists
are `{"items": [...], "next": cursor or null}`; errors are problem+json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import partial

from werkzeug.datastructures import ETags
from werkzeug.routing import Map, MapAdapter, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from remediator.model import Json
from remediator.web.access import Access, Caller, is_loopback
from remediator.web.api import cors
from remediator.web.api.call import Call, Route
from remediator.web.api.fields import bad, read_body, read_query
from remediator.web.api.once import once
from remediator.web.api.remediations import find as find_by_number
from remediator.web.api.routes import PREFIX, ROUTES
from remediator.web.problems import Problem, answer_to, careful
from remediator.web.service import Service
from remediator.web.streams import Streams
from remediator.web.thin import Environ, StartResponse, peer_of
from selfheal.common.clock import Clock, SystemClock
from selfheal.common.keys import Role

ASKED_LIMIT = 64 * 1024
"""Bytes of a request's body outside the hook."""


class ApiRequest(Request):
    """A request with a small body or none."""

    max_content_length = ASKED_LIMIT


class Api:
    """The API as a WSGI application."""

    def __init__(
        self, service: Service, access: Access, streams: Streams | None = None, clock: Clock | None = None
    ) -> None:
        self._service = service
        self._access = access
        # without readers it is as long as nothing
        self._streams = Streams(service.reader) if streams is None else streams
        self._clock = clock or SystemClock()
        self._routes = dict(enumerate(ROUTES))
        self.url_map = Map(
            [Rule(PREFIX + route.path, endpoint=at, methods=[route.method]) for at, route in self._routes.items()],
            # what is not in the table is not there; nothing is guessed
            strict_slashes=True,
            redirect_defaults=False,
            merge_slashes=False,
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        asked = ApiRequest(environ)
        try:
            response = self._answer(asked)
        except Exception as error:  # noqa: BLE001 - the web's border: every error is an answer
            response = answer_to(error)
        cors.tell(asked, response, self._access.cors)
        return careful(response)(environ, start_response)

    def _answer(self, asked: Request) -> Response:
        place = self.url_map.bind_to_environ(asked.environ)
        if asked.method == "OPTIONS":
            return cors.preflight(asked, self._access.cors, _methods(place))
        caller = admit(asked, self._access)
        cors.refuse_strangers(asked, self._access.cors)
        route, values = self._match(place)
        if not caller.role.may(route.role):
            what = f"this needs the role {route.role.value}; {caller.name} is {caller.role.value}"
            raise Problem(403, "Forbidden", what)
        if route.body is not None and not asked.is_json:
            # a form of another site cannot send JSON here without being asked first
            raise Problem(415, "Unsupported Media Type", "send application/json")
        return once(asked, caller.name, self._service, lambda: self._call(asked, route, caller, values))

    def _match(self, place: MapAdapter) -> tuple[Route, dict[str, str]]:
        try:
            at, values = place.match()
        except RequestRedirect as error:
            raise Problem(404, "Not Found", "there is no such place; see /api/v1/openapi.json") from error
        return self._routes[at], {name: str(value) for name, value in values.items()}

    def _call(self, asked: Request, route: Route, caller: Caller, values: dict[str, str]) -> Response:
        query = read_query({name: asked.args.getlist(name) for name in asked.args}, route.query)
        body = {} if route.body is None else read_body(_json(asked), route.body)
        still_may = partial(_still_may, self._access, *_credentials(asked), route.role)
        call = Call(self._service, caller, asked, self._streams, self._clock, values, query, body, still_may)
        found = route.handler(call)
        if isinstance(found, Response):
            return found
        return _shown(asked, route, json.dumps(found) + "\n")


def admit(asked: Request, access: Access) -> Caller:
    """Return who asks. Raise Problem unless it may use the API at all."""
    caller = access.caller(*_credentials(asked))
    if caller is None:
        if access.asks_of_api:
            raise Problem(401, "Unauthorized", "an API key, or the API's bearer token, is needed")
        raise Problem(403, "Forbidden", "without configured API keys or token only this machine may ask")
    if not access.asks_of_api and is_loopback(peer_of(asked.environ)) and not is_local_name(asked):
        # a page in a browser could reach us under a name it made point here
        raise Problem(403, "Forbidden", "without configured API keys use 127.0.0.1, [::1] or localhost as the host")
    return caller


def find(service: Service, id: str) -> Json:
    """Given an id as written, return the remediation. Raise Problem if there is none."""
    if not id.isascii() or not id.isdigit() or len(id) > 18:
        raise Problem(404, "Not Found", "there is no remediation with this id")
    return find_by_number(service, int(id))


def _credentials(asked: Request) -> tuple[str, str, str]:
    """Return what tells who asks, as `Access.caller` takes it."""
    headers = asked.headers
    return headers.get("Authorization", ""), headers.get("X-API-Key", ""), peer_of(asked.environ)


def _still_may(access: Access, credential: str, key: str, peer: str, least: Role) -> bool:
    caller = access.caller(credential, key, peer)
    return caller is not None and caller.role.may(least)


def _shown(asked: Request, route: Route, text: str) -> Response:
    response = Response(text, content_type=route.kind)
    if route.method != "GET":
        return response
    tag = hashlib.sha256(text.encode()).hexdigest()[:32]
    if asked.if_none_match.contains(tag):
        response = Response(status=304)
    response.headers["ETag"] = ETags([tag]).to_header()
    response.headers["Cache-Control"] = f"private, max-age={route.cache}" if route.cache else "private, no-cache"
    for header in ("Authorization", "X-API-Key"):
        # what one may see is not what another may
        response.vary.add(header)
    return response


def _methods(place: MapAdapter) -> list[str]:
    methods = list(place.allowed_methods())
    if not methods:
        raise Problem(404, "Not Found", "there is no such place; see /api/v1/openapi.json")
    return methods


def _json(asked: Request) -> object:
    try:
        return json.loads(asked.get_data(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise bad("the body is not JSON") from error


def _refuse_constant(_name: str) -> object:
    raise ValueError("not a number of JSON")


def is_local_name(asked: Request) -> bool:
    """Say whether a request names this machine as its host in a way that nobody else can give out."""
    host = asked.host.rpartition(":")[0] if not asked.host.endswith("]") and ":" in asked.host else asked.host
    name = host.strip("[]").lower()
    return name == "localhost" or is_loopback(name)


__all__ = ["ASKED_LIMIT", "Api", "admit", "find", "is_local_name"]
