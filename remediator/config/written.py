"""The shape of the configuration file: its keys, their types and defaults. What a value may be stands in `fields.py`.

What only the machine can tell (files, tokens, addresses) is found where it is read.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from remediator.config import Watchdog
from remediator.config.fields import (
    Cron,
    FilePath,
    Glob,
    HeaderName,
    Headers,
    Label,
    ModeName,
    Name,
    Origin,
    Pattern,
    ReceiverName,
    Span,
    Timezone,
    Url,
    told_by,
)
from remediator.config.limits import WrittenBreaker, WrittenMonitoring, WrittenRepeats, WrittenTrust
from remediator.model import Limits, Mode, Window
from remediator.rates import RateText
from remediator.windows import check_span
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


class BasicAuth(Section):
    """Basic authentication at a server."""

    username: str
    password_file: FilePath


class Authorization(Section):
    """Another Authorization header."""

    type: str = "Bearer"
    credentials_file: FilePath


class Tls(Section):
    """How a server proves itself, and we to it."""

    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    insecure_skip_verify: bool = False


class WrittenServer(Section):
    """One server that is asked over HTTP."""

    url: Url
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: Tls = Tls()
    headers: Headers = Field(default_factory=dict)


class WrittenPrometheus(WrittenServer):
    """The Prometheus that is asked for evidence."""

    url: Url = DEFAULT_PROMETHEUS
    scrape_interval: Span = DEFAULT_SCRAPE_INTERVAL
    ignore_labels: list[Label] = Field(default=list(DEFAULT_IGNORE_LABELS))


class WrittenHost(Section):
    """One machine."""

    instances: list[str] = Field(min_length=1)


class WrittenHmac(Section):
    """How Grafana signs what it delivers."""

    secret_file: FilePath
    header: HeaderName = "X-Grafana-Alerting-Signature"
    timestamp_header: HeaderName | None = None
    tolerance: Span = DEFAULT_TOLERANCE


class HookCredential(Section):
    """What a caller of the hook must present."""

    token_file: FilePath | None = None
    hmac: WrittenHmac | None = None


class ApiCredential(Section):
    """What a caller of the API must present, and the pages of other sites that may ask it."""

    token_file: FilePath | None = None
    keys_file: FilePath | None = None
    cors: list[Origin] = Field(default_factory=list)


class WrittenApproval(Section):
    """How people are asked."""

    valid_for: Span = DEFAULT_VALID_FOR
    link_key_file: FilePath | None = None
    url: Url | None = None


class WrittenLimits(Section):
    """Limits over all, and of playbooks that name none."""

    cooldown: Duration = Limits().cooldown
    rate: list[RateText] | None = Field(default=None, min_length=1)


def _named_once(windows: list[WrittenWindow]) -> list[WrittenWindow]:
    names = [window.name for window in windows]
    for name in names:
        if names.count(name) > 1:
            told(f"two windows have the name {name!r}", "rename one of them")
    return windows


class WrittenWindow(Section):
    """One maintenance window."""

    name: Name
    cron: Cron
    span: Span = Field(alias="for")
    timezone: Timezone
    why: str = ""
    playbooks: list[Glob] | None = Field(default=None, min_length=1)
    targets: list[Glob] | None = Field(default=None, min_length=1)

    def value(self) -> Window:
        """Return the window."""
        playbooks, targets = tuple(self.playbooks or ()), tuple(self.targets or ())
        return Window(self.name, self.cron, self.span, self.timezone, self.why, playbooks, targets)

    @model_validator(mode="after")
    def _ends(self) -> WrittenWindow:
        told_by(lambda cron: check_span(cron, self.span))(self.cron)
        return self


class WrittenNotify(Section):
    """Who hears of trouble with the remediator itself, besides the log."""

    command: Annotated[str, Field(min_length=1)] | None = None


class WrittenWatchdog(Section):
    """The alert that always fires."""

    alert: Label = Watchdog().alert
    interval: Span = Watchdog().interval
    notify: WrittenNotify = WrittenNotify()


class WrittenSelftest(Section):
    """When the remediator tests its own way."""

    every: Span | None = None


class ConfigFile(Section):
    """The whole file."""

    state: FilePath = DEFAULT_STATE
    prometheus: WrittenPrometheus = WrittenPrometheus()
    alertmanagers: list[WrittenServer] = Field(
        default_factory=lambda: [WrittenServer(url=DEFAULT_ALERTMANAGER)], min_length=1
    )
    receiver: ReceiverName = DEFAULT_RECEIVER
    hosts: dict[Name, WrittenHost]
    playbooks: list[Pattern] | None = None
    rules: list[Pattern] | None = None
    policy: FilePath | None = None
    process_config: FilePath | None = None
    protected: list[FilePath] = Field(default_factory=list)
    highest_mode: ModeName = Mode.OBSERVE.value
    hook: HookCredential | None = None
    api: ApiCredential | None = None
    web_config_file: FilePath | None = None
    limits: WrittenLimits = WrittenLimits()
    monitoring: WrittenMonitoring = WrittenMonitoring()
    breaker: WrittenBreaker = WrittenBreaker()
    repeats: WrittenRepeats = WrittenRepeats()
    trust: WrittenTrust = WrittenTrust()
    windows: Annotated[list[WrittenWindow], AfterValidator(_named_once)] = Field(default_factory=list)
    approval: WrittenApproval = WrittenApproval()
    reconcile: Span = DEFAULT_RECONCILE
    retention: Span = DEFAULT_RETENTION
    watchdog: WrittenWatchdog = WrittenWatchdog()
    selftest: WrittenSelftest = WrittenSelftest()


KEYS = key_paths(ConfigFile)
"""Every key that the file may hold."""
