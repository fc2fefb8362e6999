"""HTTP/1.1 messages, RFC 9112, as far as a server of small pages needs them: bytes to requests, responses to bytes."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import unquote

MOST_HEAD_BYTES = 8192

_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
STATUSES = tuple(_REASONS)

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

# smaller than this a page travels in one packet either way
_LEAST_GZIP_BYTES = 1024
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class BadRequestError(Exception):
    """The bytes are no request that can be answered as asked; `status` says how it is answered instead."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request's head; header names are in small letters."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    keep_alive: bool

    @property
    def takes_gzip(self) -> bool:
        """Say whether the answer may be compressed."""
        for part in self.headers.get("accept-encoding", "").lower().split(","):
            coding, _, parameters = part.partition(";")
            if coding.strip() in ("gzip", "x-gzip"):
                return parameters.replace(" ", "").rstrip(".0") != "q="
        return False


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, before it is compressed and framed."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    def with_headers(self, headers: Mapping[str, str]) -> Response:
        """Given more headers, return the same answer with them; its own win."""
        return replace(self, headers={**headers, **self.headers}) if headers else self


def parse_request(head: bytes) -> Request:
    """Given a request's head without its closing empty line, return it. Raise BadRequestError if it is not one."""
    line, *lines = head.decode("latin-1").split("\r\n")
    if any(sign in part for part in (line, *lines) for sign in "\r\n\0"):
        # others may take them for the end of a line, and see another request (RFC 9110, section 5.5)
        raise BadRequestError("a line holds a sign that no line may hold")
    words = line.split(" ")
    if len(words) != 3 or not words[0] or not set(words[0]) <= _TOKEN:
        raise BadRequestError("the first line must be: METHOD TARGET HTTP/1.1")
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        known = version.startswith("HTTP/")
        raise BadRequestError("only HTTP/1.0 and HTTP/1.1 are spoken here", 505 if known else 400)
    headers = _parse_headers(lines)
    if version == "HTTP/1.1" and "host" not in headers:
        raise BadRequestError("HTTP/1.1 needs a Host header")
    path, _, query = _origin(target).partition("?")
    connection = {word.strip() for word in headers.get("connection", "").lower().split(",")}
    keep_alive = "keep-alive" in connection if version == "HTTP/1.0" else "close" not in connection
    # no page here takes a body: it is left unread, so the connection cannot be used again
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    return Request(method, unquote(path), query, headers, keep_alive and not has_body)


def _parse_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or not set(name) <= _TOKEN:
            raise BadRequestError("a header line must be: Name: value")
        key = name.lower()
        if key in headers and key in ("host", "content-length"):
            raise BadRequestError(f"the header {name} stands there twice")
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return headers


def _origin(target: str) -> str:
    if target.startswith("/"):
        return target
    # a proxy may send the whole address
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        return "/" + rest.partition("/")[2]
    raise BadRequestError("the target must begin with /")


def render_response(response: Response, request: Request | None, now: float) -> bytes:
    """Given an answer, the request if there is one, and the time, return head and body as one run of bytes."""
    # what an answer says of these wins
    body, headers = response.body, {"X-Content-Type-Options": "nosniff"} | response.headers
    if len(body) >= _LEAST_GZIP_BYTES:
        headers["Vary"] = "Accept, Accept-Encoding"
        if request is not None and request.takes_gzip:
            # level 1: 6 costs three times as much and saves a seventh
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            body = packer.compress(body) + packer.flush()
            headers["Content-Encoding"] = "gzip"
    keep_alive = request is not None and request.keep_alive
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Other')}",
        f"Date: {_http_date(now)}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(body)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if request is not None and request.method == "HEAD" else head + body


def _http_date(now: float) -> str:
    # not strftime, which would follow the locale
    moment = datetime.fromtimestamp(now, UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year} {moment:%H:%M:%S} GMT"
