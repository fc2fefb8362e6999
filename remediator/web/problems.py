"""Errors of the API as problem+json (RFC 9457): a status, a title, a detail a person can act on, never a traceback."""

from __future__ import annotations

import logging

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from remediator.errors import RemediatorError, StoreUnavailable
from remediator.web import thin

logger = logging.getLogger(__name__)


class Problem(Exception):
    """An answer other than success: raise it anywhere below a route."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail


def answer(status: int, title: str, detail: str) -> Response:
    """Given a status, a short title and a detail, return the answer."""
    body, headers = thin.problem(status, title, detail)
    return Response(body, status, headers)


def add_handlers(flask: Flask) -> None:
    """Turn every error into problem+json, and put the headers on every answer that keep browsers careful."""
    flask.register_error_handler(Problem, lambda error: answer(error.status, error.title, error.detail))
    flask.register_error_handler(HTTPException, _http)
    flask.register_error_handler(StoreUnavailable, _unavailable)
    flask.register_error_handler(RemediatorError, lambda error: answer(409, "Conflict", str(error)))
    flask.register_error_handler(Exception, _unexpected)
    flask.after_request(_careful)


def _http(error: HTTPException) -> Response:
    return answer(error.code or 500, error.name, error.description or error.name)


def _unavailable(_error: StoreUnavailable) -> Response:
    return answer(503, "Service Unavailable", "the store cannot be used now; try again")


def _unexpected(_error: Exception) -> Response:
    # the web's border: the traceback goes to the log, never to the client
    logger.exception("request failed")
    return answer(500, "Internal Server Error", "an unexpected error; the log tells more")


def _careful(response: Response) -> Response:
    for name, value in thin.CAREFUL.items():
        response.headers.setdefault(name, value)
    return response
