"""The JSON API under `/api/v1`: what was decided, done and proven, and the one thing a person may say here.

Lists are `{"items": [...], "next": cursor or null}`, newest first; errors are problem+json.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from remediator.model import State
from remediator.web.problems import Problem, answer_to, careful
from remediator.web.service import Access, Service, is_loopback
from remediator.web.thin import Environ, StartResponse, peer_of

PREFIX = "/api/v1"
ASKED_LIMIT = 64 * 1024
"""Bytes of a request's body outside the hook."""
DEFAULT_LIMIT = 50
MOST = 500
SETTLEMENTS = ("done", "not-done", "give-up")
LARGEST_ID = 2**63 - 1


class ApiRequest(Request):
    """A request with a small body or none."""

    max_content_length = ASKED_LIMIT


class Api:
    """The API as a WSGI application; upon werkzeug alone, for Flask brings as much again that only pages need."""

    def __init__(self, service: Service, access: Access) -> None:
        self._service = service
        self._access = access
        self._routes: dict[str, Callable[..., Any]] = {
            "remediations": self._remediations,
            "remediation": self._remediation,
            "settle": self._settle,
            "alerts": self._alerts,
            "status": self._status,
        }
        self.url_map = Map(
            [
                Rule(PREFIX + "/remediations", endpoint="remediations", methods=["GET"]),
                Rule(PREFIX + "/remediations/<id>", endpoint="remediation", methods=["GET"]),
                Rule(PREFIX + "/remediations/<id>/settle", endpoint="settle", methods=["POST"]),
                Rule(PREFIX + "/alerts", endpoint="alerts", methods=["GET"]),
                Rule(PREFIX + "/status", endpoint="status", methods=["GET"]),
            ]
        )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        asked = ApiRequest(environ)
        return careful(self._answer(asked))(environ, start_response)

    def _answer(self, asked: Request) -> Response:
        try:
            admit(asked, self._access)
            endpoint, values = self.url_map.bind_to_environ(asked.environ).match()
            found = self._routes[endpoint](asked, **values)
            return Response(json.dumps(found) + "\n", content_type="application/json")
        except Exception as error:  # noqa: BLE001 - the web's border: every error is an answer
            return answer_to(error)

    def _remediations(self, asked: Request) -> Any:
        limit, before = _paging(asked)
        state = asked.args.get("state")
        if state is not None and state not in tuple(State):
            raise _bad(f"state must be one of {', '.join(State)}")
        with self._service.reader() as reader:
            return reader.list_remediations(limit, before, state)

    def _remediation(self, _: Request, id: str) -> Any:
        return find(self._service, id)

    def _settle(self, asked: Request, id: str) -> Any:
        found = find(self._service, id)
        how, who = _settlement(asked)
        self._service.settle(int(found["id"]), how, who)
        return find(self._service, id)

    def _alerts(self, asked: Request) -> Any:
        limit, before = _paging(asked)
        with self._service.reader() as reader:
            return reader.list_alerts(limit, before)

    def _status(self, _: Request) -> Any:
        return self._service.status()


def admit(asked: Request, access: Access) -> None:
    """Raise Problem unless this request may use the API."""
    credential, peer = asked.headers.get("Authorization", ""), peer_of(asked.environ)
    if not access.may_ask(credential, peer):
        if access.api:
            raise Problem(401, "Unauthorized", "the API's bearer token is needed")
        raise Problem(403, "Forbidden", "without a configured API token only this machine may ask")
    if not access.api and not _local_name(asked):
        # a page in a browser could reach us under a name it made point here
        raise Problem(403, "Forbidden", "without a configured API token use 127.0.0.1, [::1] or localhost as the host")


def find(service: Service, id: str) -> Any:
    """Given an id as written, return the remediation. Raise Problem if there is none."""
    number = _number(id)
    if number is not None:
        with service.reader() as reader:
            found = reader.remediation_detail(number)
        if found is not None:
            return found
    raise Problem(404, "Not Found", "there is no remediation with this id")


def _settlement(asked: Request) -> tuple[str, str]:
    if not asked.is_json or "Origin" in asked.headers:
        # a form or a script of another site cannot send JSON here without being asked first
        raise Problem(415, "Unsupported Media Type", "send application/json, and not from a browser's page")
    body = asked.get_json(silent=True)
    if not isinstance(body, dict) or body.get("as") not in SETTLEMENTS:
        raise _bad(f'send {{"as": one of {", ".join(SETTLEMENTS)}, "who": name}}')
    who = body.get("who", "api")
    if not isinstance(who, str) or not 0 < len(who) <= 256 or not who.isprintable():
        raise _bad("who must be one line of at most 256 characters")
    return body["as"], who


def _paging(asked: Request) -> tuple[int, int | None]:
    limit = _number(asked.args.get("limit", str(DEFAULT_LIMIT)))
    if limit is None or not 1 <= limit <= MOST:
        raise _bad(f"limit must be a number from 1 to {MOST}")
    cursor = asked.args.get("cursor")
    before = None if cursor is None else _number(cursor)
    if cursor is not None and before is None:
        raise _bad("cursor must be what an earlier answer gave as next")
    return limit, before


def _number(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    number = int(text)
    return number if number <= LARGEST_ID else None


def _local_name(asked: Request) -> bool:
    host = asked.host.rpartition(":")[0] if not asked.host.endswith("]") and ":" in asked.host else asked.host
    name = host.strip("[]").lower()
    return name == "localhost" or is_loopback(name)


def _bad(detail: str) -> Problem:
    return Problem(400, "Bad Request", detail)
