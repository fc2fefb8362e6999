"""The shape of the configuration file: its keys, their types and defaults, and what is wrong with a value by itself.

What only the machine can tell (files, tokens, addresses) is found where it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from remediator.config import Watchdog
from remediator.config.limits import WrittenBreaker, WrittenMonitoring, WrittenRepeats
from remediator.model import Limits, Mode
from remediator.rates import RateText
from remediator.windows import check_cron, check_span, zone
from selfheal.common.documents import Duration, Section, key_paths, told

DEFAULT_STATE = "/var/lib/selfheal"
DEFAULT_PROMETHEUS = "http://127.0.0.1:9090"
DEFAULT_ALERTMANAGER = "http://127.0.0.1:9093"
DEFAULT_SCRAPE_INTERVAL = 15.0
DEFAULT_IGNORE_LABELS = ("replica", "prometheus_replica")
DEFAULT_RECONCILE = 30.0
DEFAULT_RETENTION = 90 * 86_400.0
DEFAULT_RECEIVER = "selfheal"
DEFAULT_VALID_FOR = 1_800.0
DEFAULT_TOLERANCE = 300.0


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


def _one_header(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        told(f"{value[:80]!r} is no header", "write its name, with letters, digits and -")
    return value


def _origin(value: str) -> str:
    if not re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", value):
        told(f"{_without_credentials(value)!r} is no origin", "write for example https://grafana.example and no path")
    return value.lower()


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


def _glob(value: str) -> str:
    if not 0 < len(value) <= 512:
        told("must be a pattern of 1 to 512 characters", "write for example restart_*")
    return value


_Glob = Annotated[str, AfterValidator(_glob)]


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


class WrittenHmac(Section):
    """How Grafana signs what it delivers."""

    secret_file: _Path
    header: Annotated[str, AfterValidator(_one_header)] = "X-Grafana-Alerting-Signature"
    timestamp_header: Annotated[str, AfterValidator(_one_header)] | None = None
    tolerance: _Span = DEFAULT_TOLERANCE


class HookCredential(Section):
    """What a caller of the hook must present."""

    token_file: _Path | None = None
    hmac: WrittenHmac | None = None


class ApiCredential(Section):
    """What a caller of the API must present, and the pages of other sites that may ask it."""

    token_file: _Path | None = None
    keys_file: _Path | None = None
    cors: list[Annotated[str, AfterValidator(_origin)]] = Field(default_factory=list)


class WrittenApproval(Section):
    """How people are asked."""

    valid_for: _Span = DEFAULT_VALID_FOR
    link_key_file: _Path | None = None
    url: _Url | None = None


class WrittenLimits(Section):
    """Limits over all, and of playbooks that name none."""

    cooldown: Duration = Limits().cooldown
    rate: list[RateText] | None = Field(default=None, min_length=1)


def _told_by(check: Callable[[str], object]) -> Callable[[str], str]:
    """Given what raises ValueError with the remedy, return it as a validator."""

    def validate(value: str) -> str:
        try:
            check(value)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            told(what, remedy)
        return value

    return validate


def _named_once(windows: list[WrittenWindow]) -> list[WrittenWindow]:
    names = [window.name for window in windows]
    for name in names:
        if names.count(name) > 1:
            told(f"two windows have the name {name!r}", "rename one of them")
    return windows


class WrittenWindow(Section):
    """One maintenance window."""

    name: Annotated[str, AfterValidator(_name)]
    cron: Annotated[str, AfterValidator(_told_by(check_cron))]
    span: _Span = Field(alias="for")
    timezone: Annotated[str, AfterValidator(_told_by(zone))]
    why: str = ""
    playbooks: list[_Glob] | None = Field(default=None, min_length=1)
    targets: list[_Glob] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _ends(self) -> WrittenWindow:
        _told_by(lambda cron: check_span(cron, self.span))(self.cron)
        return self


class WrittenNotify(Section):
    """Who hears of trouble with the remediator itself, besides the log."""

    command: Annotated[str, Field(min_length=1)] | None = None


class WrittenWatchdog(Section):
    """The alert that always fires."""

    alert: Annotated[str, AfterValidator(_label)] = Watchdog().alert
    interval: _Span = Watchdog().interval
    notify: WrittenNotify = WrittenNotify()


class WrittenSelftest(Section):
    """When the remediator tests its own way."""

    every: _Span | None = None


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
    hook: HookCredential | None = None
    api: ApiCredential | None = None
    web_config_file: _Path | None = None
    limits: WrittenLimits = WrittenLimits()
    monitoring: WrittenMonitoring = WrittenMonitoring()
    breaker: WrittenBreaker = WrittenBreaker()
    repeats: WrittenRepeats = WrittenRepeats()
    windows: Annotated[list[WrittenWindow], AfterValidator(_named_once)] = Field(default_factory=list)
    approval: WrittenApproval = WrittenApproval()
    reconcile: _Span = DEFAULT_RECONCILE
    retention: _Span = DEFAULT_RETENTION
    watchdog: WrittenWatchdog = WrittenWatchdog()
    selftest: WrittenSelftest = WrittenSelftest()


KEYS = key_paths(ConfigFile)
"""Every key that the file may hold."""
