"""The shape of the configuration file: its keys, their types and defaults, and what is wrong with a value by itself.

What only the machine can tell (files, tokens, addresses) is found where it is read.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from remediator.model import Limits, Mode
from remediator.rates import RateText
from selfheal.common.documents import Duration, Section, key_paths, told

DEFAULT_STATE = "/var/lib/selfheal"
DEFAULT_PROMETHEUS = "http://127.0.0.1:9090"
DEFAULT_ALERTMANAGER = "http://127.0.0.1:9093"
DEFAULT_SCRAPE_INTERVAL = 15.0
DEFAULT_IGNORE_LABELS = ("replica", "prometheus_replica")
DEFAULT_RECONCILE = 30.0
DEFAULT_RETENTION = 90 * 86_400.0
DEFAULT_RECEIVER = "selfheal"


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        told(f"{_without_credentials(value)!r} is no URL", "write for example http://127.0.0.1:9090")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        told(f"{_without_credentials(value)!r} is no URL", "write for example http://127.0.0.1:9090")
    if parts.username is not None or parts.password is not None:
        told("a URL must not hold a user or a password", "use basic_auth with password_file")
    if parts.query or parts.fragment:
        told("a URL must end with its path", "leave out what follows ? or #")
    return value.rstrip("/")


def _without_credentials(value: str) -> str:
    return re.sub(r"//[^/@]*@", "//", value)[:80]


def _header_name(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or any(ord(sign) < 32 for sign in value):
            told(f"{name!r} is no header", "names hold letters, digits and -, values one line")
        if name.lower() in ("authorization", "host", "content-length", "transfer-encoding", "connection"):
            told(f"header {name} cannot be set here", "use authorization or basic_auth for credentials")
    return headers


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        told(f"{value[:80]!r} is no name", "use letters, digits, dots, - and _, at most 63")
    return value


def _receiver(value: str) -> str:
    if not value.strip():
        told("must not be empty", "write the receiver's name as in alertmanager.yml")
    return value


def _label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        told(f"{value[:80]!r} is no label name", "use letters, digits and _")
    return value


def _mode(value: str) -> str:
    if value not in tuple(Mode):
        told(f"{value[:80]!r} is no mode", "write observe, approve or auto")
    return value


def _path(value: str) -> str:
    if not value or "\0" in value:
        told("must be a path", "name a file or a folder")
    return value


def _pattern(value: str) -> str:
    if any("**" in part and part != "**" for part in _path(value).split("/")):
        told(f"{value[:80]!r} is no pattern", "** stands for any folders, alone between two slashes")
    return value


def _positive(value: float) -> float:
    if value <= 0:
        told("must be longer than 0s", "write for example 15s")
    return value


_Url = Annotated[str, AfterValidator(_url)]
_Path = Annotated[str, AfterValidator(_path)]
_Pattern = Annotated[str, AfterValidator(_pattern)]
_Span = Annotated[Duration, AfterValidator(_positive)]


class BasicAuth(Section):
    """Basic authentication at a server."""

    username: str
    password_file: _Path


class Authorization(Section):
    """Another Authorization header."""

    type: str = "Bearer"
    credentials_file: _Path


class Tls(Section):
    """How a server proves itself, and we to it."""

    ca_file: _Path | None = None
    cert_file: _Path | None = None
    key_file: _Path | None = None
    insecure_skip_verify: bool = False


class WrittenServer(Section):
    """One server that is asked over HTTP."""

    url: _Url
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: Tls = Tls()
    headers: Annotated[dict[str, str], AfterValidator(_header_name)] = Field(default_factory=dict)


class WrittenPrometheus(WrittenServer):
    """The Prometheus that is asked for evidence."""

    url: _Url = DEFAULT_PROMETHEUS
    scrape_interval: _Span = DEFAULT_SCRAPE_INTERVAL
    ignore_labels: list[Annotated[str, AfterValidator(_label)]] = Field(default=list(DEFAULT_IGNORE_LABELS))


class WrittenHost(Section):
    """One machine."""

    instances: list[str] = Field(min_length=1)


class Credential(Section):
    """What a caller must present."""

    token_file: _Path


class WrittenLimits(Section):
    """Limits over all, and of playbooks that name none."""

    cooldown: Duration = Limits().cooldown
    rate: list[RateText] | None = Field(default=None, min_length=1)


class ConfigFile(Section):
    """The whole file."""

    state: _Path = DEFAULT_STATE
    prometheus: WrittenPrometheus = WrittenPrometheus()
    alertmanagers: list[WrittenServer] = Field(
        default_factory=lambda: [WrittenServer(url=DEFAULT_ALERTMANAGER)], min_length=1
    )
    receiver: Annotated[str, AfterValidator(_receiver)] = DEFAULT_RECEIVER
    hosts: dict[Annotated[str, AfterValidator(_name)], WrittenHost]
    playbooks: list[_Pattern] | None = None
    rules: list[_Pattern] | None = None
    policy: _Path | None = None
    process_config: _Path | None = None
    protected: list[_Path] = Field(default_factory=list)
    highest_mode: Annotated[str, AfterValidator(_mode)] = Mode.OBSERVE.value
    hook: Credential | None = None
    api: Credential | None = None
    limits: WrittenLimits = WrittenLimits()
    reconcile: _Span = DEFAULT_RECONCILE
    retention: _Span = DEFAULT_RETENTION


KEYS = key_paths(ConfigFile)
"""Every key that the file may hold."""
