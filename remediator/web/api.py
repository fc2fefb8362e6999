"""The JSON API under `/api/v1`: what was decided, done and proven, and the one thing a person may say here.

Lists are `{"items": [...], "next": cursor or null}`, newest first; errors are problem+json.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Request, Response, jsonify, request

from remediator.model import State
from remediator.web.problems import Problem, add_handlers
from remediator.web.service import Access, Service, is_loopback
from remediator.web.thin import peer_of

PREFIX = "/api/v1"
DEFAULT_LIMIT = 50
MOST = 500
SETTLEMENTS = ("done", "not-done", "give-up")
LARGEST_ID = 2**63 - 1


def add_routes(flask: Flask, service: Service, access: Access) -> None:
    """Add the API's routes and the error handlers that all routes share."""
    add_handlers(flask)

    @flask.before_request
    def _admit() -> None:
        if request.path.startswith(PREFIX + "/"):
            admit(request, access)

    @flask.get(PREFIX + "/remediations")
    def _remediations() -> Response:
        limit, before = _paging()
        state = request.args.get("state")
        if state is not None and state not in tuple(State):
            raise _bad(f"state must be one of {', '.join(State)}")
        with service.reader() as reader:
            return jsonify(reader.list_remediations(limit, before, state))

    @flask.get(PREFIX + "/remediations/<id>")
    def _remediation(id: str) -> Response:
        return jsonify(find(service, id))

    @flask.post(PREFIX + "/remediations/<id>/settle")
    def _settle(id: str) -> Response:
        found = find(service, id)
        how, who = _settlement(request)
        service.settle(int(found["id"]), how, who)
        return jsonify(find(service, id))

    @flask.get(PREFIX + "/alerts")
    def _alerts() -> Response:
        limit, before = _paging()
        with service.reader() as reader:
            return jsonify(reader.list_alerts(limit, before))

    @flask.get(PREFIX + "/status")
    def _status() -> Response:
        return jsonify(service.status())


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


def _paging() -> tuple[int, int | None]:
    limit = _number(request.args.get("limit", str(DEFAULT_LIMIT)))
    if limit is None or not 1 <= limit <= MOST:
        raise _bad(f"limit must be a number from 1 to {MOST}")
    cursor = request.args.get("cursor")
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
