"""Errors of the API as problem+json (RFC 9457): a status, a title, a detail a person can act on, never a traceback."""

from __future__ import annotations

import logging

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.wrappers import Response

from remediator.errors import RemediatorError, SourceUnavailable, StoreUnavailable
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


def answer_to(error: Exception) -> Response:
    """Given what was raised while a request was answered, return the answer."""
    match error:
        case Problem():
            return answer(error.status, error.title, error.detail)
        case NotFound():
            return answer(404, "Not Found", "there is no such place; see /api/v1/openapi.json")
        case HTTPException():
            response = answer(error.code or 500, error.name, error.description or error.name)
            if isinstance(error, MethodNotAllowed):
                response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
            return response
        case SourceUnavailable():
            return answer(503, "Service Unavailable", f"{error.source} gave no usable answer; try again")
        case StoreUnavailable():
            return answer(503, "Service Unavailable", "the store cannot be used now; try again")
        case RemediatorError():
            return answer(409, "Conflict", str(error))
    # the web's border: the traceback goes to the log, never to the client
    logger.error("request failed", exc_info=error)
    return answer(500, "Internal Server Error", "an unexpected error; the log tells more")


def careful(response: Response) -> Response:
    """Given an answer, put the headers on it that keep browsers careful."""
    for name, value in thin.CAREFUL.items():
        response.headers.setdefault(name, value)
    return response
