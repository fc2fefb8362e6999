"""Answers without Flask, as plain WSGI: for what machines ask all the time, so that Flask is loaded only for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

StartResponse = Callable[..., Any]
Environ = dict[str, Any]

TITLES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    405: "Method Not Allowed",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
CAREFUL = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""On every answer, so that a browser is careful with it."""


PROXIED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
"""What a request brings that came through a proxy."""


def problem(status: int, title: str, detail: str) -> tuple[bytes, dict[str, str]]:
    """Given a status, a short title and a detail, return body and headers of a problem+json answer (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    headers = {"Content-Type": "application/problem+json"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "1"
    return json.dumps(body).encode(), headers


def reply(start_response: StartResponse, status: int, body: bytes, headers: dict[str, str]) -> Iterable[bytes]:
    """Begin the answer and return its body."""
    listed = [*headers.items(), ("Content-Length", str(len(body)))]
    start_response(f"{status} {TITLES[status]}", listed)
    return (body,)


def refuse(start_response: StartResponse, status: int, detail: str, allow: str = "GET, HEAD") -> Iterable[bytes]:
    """Answer with a problem."""
    body, headers = problem(status, TITLES[status], detail)
    if status == 405:
        headers["Allow"] = allow
    return reply(start_response, status, body, CAREFUL | headers)


def peer_of(environ: Environ) -> str:
    """Return the client's address; empty where a proxy stands between, for then it is not known."""
    if any(name in environ for name in PROXIED):
        return ""
    return str(environ.get("REMOTE_ADDR", ""))
