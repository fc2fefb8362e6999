"""The shape of what a file says about an HTTP request, in the spelling of Prometheus's `http_config`.

It loads pydantic: import it only once a file is to be read.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from exporter.probe.model import Http, Tls
from selfheal.common.documents import Duration, Section, told
from selfheal.common.re2 import ExpressionError, compile_re2

_OURS = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding")


def _span(value: float) -> float:
    if value < 1:
        told("must be at least 1s", "write for example 15s")
    return value


def _limit(value: float) -> float:
    if value <= 0:
        told("must be longer than 0s", "write for example 5s")
    return value


def _path(value: str) -> str:
    if not value or "\0" in value:
        told("must be a path", "name a file")
    return value


def _header_value(value: str) -> str:
    if any(ord(letter) < 32 for letter in value):
        told("must be one line", "leave out line breaks and control characters")
    return value


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_|~-]+", name):
            told(f"{name!r} is no header", "names hold letters, digits and -")
        if name.lower() == "authorization":
            told("credentials do not stand in this file", "use basic_auth or authorization, which name a file")
        if name.lower() in _OURS:
            told(f"header {name} cannot be set here", "leave it out")
        _header_value(value)
    return headers


def without_credentials(url: str) -> str:
    """Given what should be a URL, return what can be no part of a user or a password, shortened."""
    # a password may hold any sign, also those that end it
    return url.rpartition("@")[2][:80]


def check_url(value: str) -> str:
    """Inside a validator, return a URL that can be asked; refuse any other."""
    remedy = "write for example http://127.0.0.1:8080/health"
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        told(f"{without_credentials(value)!r} is no URL", remedy)
    if not good or not value.isascii() or re.search(r"[\x00-\x20\x7f]", value):
        told(f"{without_credentials(value)!r} is no URL", remedy)
    if parts.username is not None or parts.password is not None:
        told("a URL must not hold a user or a password", "leave them out")
    if parts.fragment:
        told("what follows # is never sent", "leave it out")
    return value


def parse_place(text: str, default_port: int | None) -> tuple[str, int]:
    """Given `host:port`, `[v6]:port`, or with a default port a host alone, return both. Raise ValueError else."""
    bare = text.startswith("[") and text.endswith("]")
    if default_port is not None and (bare or (text.count(":") != 1 and not text.startswith("["))):
        host, port = text.strip("[]"), str(default_port)
    else:
        host, colon, port = text.rpartition(":")
        if not colon:
            raise ValueError("write HOST:PORT")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError("write an IPv6 address in brackets: [::1]:443")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError("a port is a number from 1 to 65535")
    check_host(host)
    return host, int(port)


def check_host(text: str) -> str:
    """Given a host name or an address, return it. Raise ValueError if it can be neither."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?", text):
            raise ValueError("it is neither a host name nor an address") from None
        try:
            # as the system's resolver and TLS will
            text.encode("idna")
        except UnicodeError:
            raise ValueError("it has a part that is empty or longer than 63") from None
        return text


def _server_name(value: str) -> str:
    try:
        return check_host(value)
    except ValueError as error:
        told(f"{value[:80]!r} is no name of a server: {error}", "write for example example.org")


def _pattern(value: str) -> str:
    try:
        compile_re2(value)
    except ExpressionError as error:
        told(f"{value[:80]!r} is no regular expression: {error}", "mend it")
    return value


Span = Annotated[Duration, AfterValidator(_span)]
"""An interval, at least one second."""
Limit = Annotated[Duration, AfterValidator(_limit)]
"""A time limit."""
FilePath = Annotated[str, AfterValidator(_path)]
"""A path, relative to the file it stands in."""
Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression."""
Url = Annotated[str, AfterValidator(check_url)]
"""A URL that can be asked."""
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
"""Headers of a request."""


class BasicAuth(Section):
    """Basic authentication at a server."""

    username: Annotated[str, AfterValidator(_header_value)]
    password_file: FilePath


class Authorization(Section):
    """Another Authorization header."""

    type: Annotated[str, AfterValidator(_header_value)] = "Bearer"
    credentials_file: FilePath


class WrittenTls(Section):
    """How a server proves itself, and we to it."""

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    server_name: Annotated[str, AfterValidator(_server_name)] | None = None
    insecure_skip_verify: bool = False


class WrittenRequest(Section):
    """What is common to every HTTP request."""

    headers: Headers = Field(default_factory=dict)
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: WrittenTls = WrittenTls()
    follow_redirects: bool = True


def check_request(written: WrittenRequest) -> None:
    """Inside a validator, refuse what contradicts itself."""
    if written.basic_auth and written.authorization:
        told("basic_auth and authorization contradict each other", "give only one")
    check_tls(written.tls_config)


def check_tls(written: WrittenTls) -> None:
    """Inside a validator, refuse a certificate without a key, and the reverse."""
    if (written.cert_file is None) != (written.key_file is None):
        told("cert_file and key_file belong together", "give both or neither")


def read_tls(written: WrittenTls, folder: Path) -> Tls:
    """Given what is written and the folder its paths start from, return it as a value."""

    def below(path: str | None) -> Path | None:
        return folder / path if path else None

    return Tls(
        ca_file=below(written.ca_file),
        cert_file=below(written.cert_file),
        key_file=below(written.key_file),
        server_name=written.server_name,
        insecure_skip_verify=written.insecure_skip_verify,
    )


def read_request(url: str, written: WrittenRequest, folder: Path) -> Http:
    """Given a URL and what is written about its request, return the request."""
    basic, other = written.basic_auth, written.authorization
    return Http(
        url=url,
        headers=tuple(written.headers.items()),
        follow_redirects=written.follow_redirects,
        username=basic.username if basic else None,
        password_file=folder / basic.password_file if basic else None,
        token_file=folder / other.credentials_file if other else None,
        token_type=other.type if other else "Bearer",
        tls=read_tls(written.tls_config, folder),
    )
