"""Asks over HTTP and HTTPS, follows redirects, and judges status, version, headers and body."""

from __future__ import annotations

import base64
import http.client
import socket
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from exporter.probe.conversation import receive_body, receive_head, send
from exporter.probe.dial import Dialer, timed
from exporter.probe.model import Deadline, Found, Http, ProbeError, Reason
from selfheal import __version__

MOST_REDIRECTS = 10

_PRINTABLE = "".join(map(chr, range(33, 127)))
_FROM_THE_START = (
    "http_status_code",
    "http_version",
    "http_content_length",
    "http_uncompressed_body_length",
    "http_redirects",
    "http_ssl",
    "failed_due_to_regex",
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: SplitResult
    body: bytes
    credentials: str | None
    is_elsewhere: bool = False
    """A redirect led to another server: what was written for the first is not for this one."""


def ask(wanted: Http, dialer: Dialer, found: Found, deadline: Deadline) -> None:
    """Ask and judge the answer; `found` gets what was seen on the way. Raise ProbeError if something is not right."""
    keeps = bool(wanted.fail_if_body_matches or wanted.fail_if_body_not_matches)
    _follow(wanted, dialer, found, deadline, keeps)


def fetch(wanted: Http, dialer: Dialer, deadline: Deadline) -> bytes:
    """Ask, judge the answer, and return its body. Raise ProbeError if something is not right."""
    return _follow(wanted, dialer, Found(), deadline, True)


def _follow(wanted: Http, dialer: Dialer, found: Found, deadline: Deadline, keeps: bool) -> bytes:
    """Ask until the answer is no redirect, judge it, and return its body, which is empty unless it is to be kept."""
    found.facts.update(dict.fromkeys(_FROM_THE_START, 0))
    request = _Request(wanted.method, urlsplit(wanted.url), wanted.body, _credentials(wanted))
    while True:
        answer = _exchange(wanted, request, dialer, found, deadline, keeps)
        if isinstance(answer, bytes):
            return answer
        found.facts["http_redirects"] += 1
        if found.facts["http_redirects"] > MOST_REDIRECTS:
            raise ProbeError(Reason.REDIRECT, f"more than {MOST_REDIRECTS} redirects")
        request = answer


def _exchange(
    wanted: Http, request: _Request, dialer: Dialer, found: Found, deadline: Deadline, keeps: bool
) -> _Request | bytes:
    """Ask once; return the next request if the answer is a redirect to be followed, else judge it, return its body."""
    sock = _connection(wanted, request, dialer, found, deadline)
    try:
        with timed("processing", found, deadline):
            _send_request(sock, wanted, request, deadline)
            response = receive_head(sock, request.method, deadline)
        _note_head(response, request, found)
        if wanted.follow_redirects and response.status in _REDIRECTS:
            # one without a place to go to is judged like any other answer
            location = response.headers.get("Location")
            if location is not None:
                return _redirected(request, response.status, location)
        with timed("transfer", found, deadline):
            body = _body(wanted, response, found, keeps)
    finally:
        sock.close()
    _judge(wanted, request, response, body, found)
    return body


def _connection(wanted: Http, request: _Request, dialer: Dialer, found: Found, deadline: Deadline) -> socket.socket:
    host = request.url.hostname or ""
    is_tls = request.url.scheme == "https"
    port = request.url.port or (443 if is_tls else 80)
    sock = dialer.connect(dialer.resolve(host, port, found, deadline), found, deadline)
    if not is_tls:
        return sock
    tls = replace(wanted.tls, server_name=None, cert_file=None, key_file=None) if request.is_elsewhere else wanted.tls
    return dialer.encrypt(sock, host, tls, found, deadline)


def _send_request(sock: socket.socket, wanted: Http, request: _Request, deadline: Deadline) -> None:
    try:
        send(sock, _render(wanted, request), deadline)
    except OSError:
        # a server may answer and close before it has read all; what it said is still to be read
        pass


def _render(wanted: Http, request: _Request) -> bytes:
    """Return the request as it is sent."""
    path = request.url.path or "/"
    headers = {
        "Host": request.url.netloc.rpartition("@")[2],
        "User-Agent": f"selfheal-exporter/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if request.credentials is not None:
        headers["Authorization"] = request.credentials
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        headers["Content-Length"] = str(len(request.body))
    by_lower = {name.lower(): name for name in headers}
    for name, value in () if request.is_elsewhere else wanted.headers:
        headers[by_lower.get(name.lower(), name)] = value
    target = path + (f"?{request.url.query}" if request.url.query else "")
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8") + request.body


def _credentials(wanted: Http) -> str | None:
    """Return the value of the Authorization header, read anew each time: secrets are rotated."""
    if wanted.token_file is not None:
        return f"{wanted.token_type} {_read_secret(wanted.token_file)}"
    if wanted.password_file is not None:
        pair = f"{wanted.username}:{_read_secret(wanted.password_file)}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
    return None


def _read_secret(path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeError(Reason.SECRET, f"cannot read {path}: {error.__class__.__name__}") from error
    if not text or any(ord(letter) < 32 for letter in text):
        raise ProbeError(Reason.SECRET, f"{path} must hold one line")
    return text


def _note_head(response: http.client.HTTPResponse, request: _Request, found: Found) -> None:
    length = response.headers.get("Content-Length", "")
    found.facts["http_status_code"] = response.status
    found.facts["http_version"] = response.version / 10
    is_length = length.isascii() and length.isdigit() and len(length) < 20
    found.facts["http_content_length"] = int(length) if is_length else -1
    found.facts["http_ssl"] = int(request.url.scheme == "https")
    try:
        modified = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
        found.facts["http_last_modified"] = modified.timestamp()
    except (ValueError, OverflowError):
        found.facts.pop("http_last_modified", None)


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """Return the request that a redirect asks for; passwords and headers of ours go to no other server."""
    try:
        # http.client reads heads as Latin-1; what is no part of a URL goes back as the bytes it was
        url = urlsplit(urljoin(request.url.geturl(), quote(location, _PRINTABLE, "latin-1", "replace")))
        port = url.port
    except ValueError as error:
        raise ProbeError(Reason.REDIRECT, "it redirects to what is no URL") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ProbeError(Reason.REDIRECT, "it redirects to what is no HTTP URL")
    stays = (url.scheme, url.hostname, port) == (request.url.scheme, request.url.hostname, request.url.port)
    # as browsers do: only 307 and 308 repeat a POST
    keeps = status in (307, 308) or request.method in ("GET", "HEAD")
    return _Request(
        method=request.method if keeps else "GET",
        url=url,
        body=request.body if keeps else b"",
        credentials=request.credentials if stays else None,
        is_elsewhere=request.is_elsewhere or not stays,
    )


def _body(wanted: Http, response: http.client.HTTPResponse, found: Found, keeps: bool) -> bytes:
    """Return the body if it is to be kept; else only count it."""
    parts, size = [], 0
    for part in receive_body(response, wanted.body_size_limit):
        size += len(part)
        if keeps:
            parts.append(part)
    found.facts["http_uncompressed_body_length"] = size
    return b"".join(parts)


def _judge(wanted: Http, request: _Request, response: http.client.HTTPResponse, body: bytes, found: Found) -> None:
    status, valid = response.status, wanted.valid_status_codes
    if status not in valid if valid else not 200 <= status < 300:
        raise ProbeError(Reason.STATUS, f"the status is {status}, not {', '.join(map(str, valid)) or '2xx'}")
    version = f"HTTP/{response.version // 10}.{response.version % 10}"
    if wanted.valid_http_versions and version not in wanted.valid_http_versions:
        raise ProbeError(Reason.STATUS, f"the version is {version}, not {', '.join(wanted.valid_http_versions)}")
    if wanted.fail_if_ssl and request.url.scheme == "https":
        raise ProbeError(Reason.TLS, "the connection is encrypted and should not be")
    if wanted.fail_if_not_ssl and request.url.scheme != "https":
        raise ProbeError(Reason.TLS, "the connection is not encrypted")
    problem = _body_problem(wanted, body) or _header_problem(wanted, response)
    if problem is not None:
        found.facts["failed_due_to_regex"] = 1
        raise ProbeError(Reason.REGEX, problem)


def _body_problem(wanted: Http, body: bytes) -> str | None:
    for pattern in wanted.fail_if_body_matches:
        if pattern.finds(body):
            return f"the body matches {pattern.source}"
    for pattern in wanted.fail_if_body_not_matches:
        if not pattern.finds(body):
            return f"the body does not match {pattern.source}"
    return None


def _header_problem(wanted: Http, response: http.client.HTTPResponse) -> str | None:
    rules = [(rule, False) for rule in wanted.fail_if_header_matches]
    rules += [(rule, True) for rule in wanted.fail_if_header_not_matches]
    for rule, should in rules:
        values = response.headers.get_all(rule.header)
        if not values and not rule.allow_missing:
            return f"the header {rule.header} is missing"
        if values and any(rule.regexp.finds(value) for value in values) is not should:
            return f"the header {rule.header} {'does not match' if should else 'matches'} {rule.regexp.source}"
    return None
