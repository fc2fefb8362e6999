"""What the remediator is configured with, as frozen values. The file is read in `reading.py`.

What the policy, the playbooks and the rules hold is elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remediator.model import BreakerLimits, Limits, Mode, MonitoringLimits, Rate, Window
from remediator.model.trust import NOT_FIXED
from selfheal.common.durations import format_duration
from selfheal.common.secrets import Secret
from selfheal.common.shipped import shipped

DEFAULT_LISTEN_ADDRESS = "127.0.0.1:9977"
DEFAULT_HOST_RATES = (Rate(10, 3_600.0),)
DEFAULT_MONITORING = MonitoringLimits()
DEFAULT_BREAKER = BreakerLimits()
DEFAULT_REPEATS = Rate(5, 86_400.0)
SHIPPED_PLAYBOOKS = ("remediator", "playbooks", "shipped")
SHIPPED_RULES = ("rules",)
SHIPPED = "shipped"
"""Stands in a list of files for those that ride with the program."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server that is asked over HTTP, and how: the part of Prometheus's `http_config` that is understood here."""

    url: str
    username: str = ""
    password: Secret | None = None
    """With `username`: basic authentication."""
    authorization: Secret | None = None
    """The whole value of the Authorization header, `Bearer …`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class Hmac:
    """How a delivery is signed: SHA-256 over the body, or over the seconds and the body where a time is sent too."""

    secret: Secret
    header: str
    timestamp_header: str | None
    """Without it nothing tells a delivery from its repetition."""
    tolerance: float
    """Seconds by which the sender's clock may differ; what is older is refused."""


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that is healed, and the `instance` values it is scraped as."""

    name: str
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watchdog:
    """The alert that always fires, and who hears of it when it does not arrive."""

    alert: str = "Watchdog"
    interval: float = 300.0
    """Seconds between two deliveries: Alertmanager's `repeat_interval`."""
    command: str | None = None
    """The policy's command that tells people: started when something is wrong here, stopped when it is over."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a person decided, with the defaults filled in; durations in seconds, paths absolute."""

    file: Path
    listen_address: str
    state: Path
    prometheus: Endpoint
    scrape_interval: float
    ignore_labels: tuple[str, ...]
    """Labels that a delivered alert may have and Prometheus's own may lack, besides its external labels."""
    alertmanagers: tuple[Endpoint, ...]
    receiver: str
    """The receiver of Alertmanager that stands for us."""
    host: Host
    playbooks: tuple[Path, ...]
    rules: tuple[Path, ...]
    """Read by `selfheal check` only."""
    policy: Path | None
    process_config: Path | None
    protected: tuple[Path, ...]
    """Never touched, whatever the policy says: what was listed, our own state and the files named here."""
    highest_mode: Mode
    hook_tokens: tuple[Secret, ...]
    """Empty: the hook asks no credential."""
    api_tokens: tuple[Secret, ...]
    limits: Limits
    """Of a playbook that names none."""
    host_rates: tuple[Rate, ...]
    """Over all playbooks together."""
    reconcile: float
    retention: float
    monitoring: MonitoringLimits = DEFAULT_MONITORING
    breaker: BreakerLimits = DEFAULT_BREAKER
    repeats: Rate = DEFAULT_REPEATS
    not_fixed: int = NOT_FIXED
    """Of a playbook's newest five judged runs, how many that did not fix it take its rung away."""
    """A playbook that healed a target so often leaves it to people."""
    approval_valid_for: float = 1_800.0
    """Seconds for which a person may answer a request, and what was granted may begin."""
    approval_link_key: Secret | None = None
    """What links to requests are signed with; None: a key of our own below `state`."""
    approval_url: str | None = None
    """Where people reach us; without it no links are given."""
    watchdog: Watchdog = Watchdog()
    selftest_every: float | None = None
    """Seconds between two self-tests; None: only when somebody asks for one."""
    windows: tuple[Window, ...] = ()
    """Times in which nothing, or nothing of some kind, is done."""
    hook_hmac: Hmac | None = None
    api_keys: Path | None = None
    """The file of API keys, read again when it changes."""
    cors: tuple[str, ...] = ()
    """Origins whose pages may use the API; none unless listed."""
    web_config: Path | None = None
    """TLS and passwords, as the exporter's own flag names them; read again when it changes."""

    @property
    def hosts(self) -> Mapping[str, tuple[str, ...]]:
        """Every configured host with its `instance` values."""
        return {self.host.name: self.host.instances}

    def hosts_of(self, instance: str) -> tuple[str, ...]:
        """Given an alert's `instance`, return the names of the configured hosts that are scraped as it."""
        return tuple(name for name, instances in self.hosts.items() if instance in instances)


def shipped_files(place: tuple[str, ...]) -> tuple[Path, ...]:
    """Given where they ride, return the shipped YAML files there, sorted; examples are a person's to copy."""
    found = shipped(*place).glob("*.yml")
    return tuple(sorted(path for path in found if not path.name.endswith(".example.yml")))


def parse_listen_address(text: str) -> tuple[str, int]:
    """Given `127.0.0.1:9977`, `[::1]:9977` or `:9977` (every address), return host and port.

    Raise ValueError with the remedy if it is none of these.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
        raise ValueError(f"{text!r} is no address to listen on; write for example 127.0.0.1:9977")
    return host or "0.0.0.0", int(port)


def listens_locally(host: str) -> bool:
    """Say whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def describe(config: Config) -> dict[str, Any]:
    """Given a configuration, return every key with its value in force, as the file would be written; secrets hidden."""
    return {
        "state": str(config.state),
        "prometheus": _describe_endpoint(config.prometheus)
        | {
            "scrape_interval": format_duration(config.scrape_interval),
            "ignore_labels": list(config.ignore_labels),
        },
        "alertmanagers": [_describe_endpoint(endpoint) for endpoint in config.alertmanagers],
        "receiver": config.receiver,
        "hosts": {name: {"instances": list(instances)} for name, instances in config.hosts.items()},
        "playbooks": [str(path) for path in config.playbooks],
        "rules": [str(path) for path in config.rules],
        "policy": str(config.policy) if config.policy else None,
        "process_config": str(config.process_config) if config.process_config else None,
        "protected": [str(path) for path in config.protected],
        "highest_mode": config.highest_mode.value,
        "hook": {"tokens": len(config.hook_tokens)} | _describe_hmac(config.hook_hmac),
        "api": {
            "tokens": len(config.api_tokens),
            "keys_file": str(config.api_keys) if config.api_keys else None,
            "cors": list(config.cors),
        },
        "web_config_file": str(config.web_config) if config.web_config else None,
        "approval": {
            "valid_for": format_duration(config.approval_valid_for),
            "link_key": "named" if config.approval_link_key else "own",
            "url": config.approval_url,
        },
        "limits": {
            "cooldown": format_duration(config.limits.cooldown),
            "rate": [f"{rate.count}/{format_duration(rate.window)}" for rate in config.host_rates],
        },
        "windows": [_describe_window(window) for window in config.windows],
        "reconcile": format_duration(config.reconcile),
        "retention": format_duration(config.retention),
        "watchdog": {
            "alert": config.watchdog.alert,
            "interval": format_duration(config.watchdog.interval),
            "notify": {"command": config.watchdog.command},
        },
        "selftest": {"every": None if config.selftest_every is None else format_duration(config.selftest_every)},
        "monitoring": {
            "targets": config.monitoring.targets,
            "share": f"{config.monitoring.share:.0%}",
            "within": format_duration(config.monitoring.within),
            "scrape_gap": config.monitoring.scrape_gap,
            "after_restart": format_duration(config.monitoring.after_restart),
        },
        "breaker": {
            "window": format_duration(config.breaker.window),
            "minimum": config.breaker.minimum,
            "share": f"{config.breaker.share:.0%}",
            "open_for": format_duration(config.breaker.open_for),
        },
        "repeats": {"most": config.repeats.count, "window": format_duration(config.repeats.window)},
        "trust": {"not_fixed": config.not_fixed},
    }


def _describe_hmac(hmac: Hmac | None) -> dict[str, Any]:
    if hmac is None:
        return {}
    names = {"header": hmac.header, "timestamp_header": hmac.timestamp_header}
    return {"hmac": names | {"tolerance": format_duration(hmac.tolerance)}}


def _describe_window(window: Window) -> dict[str, Any]:
    lists = {"playbooks": list(window.playbooks), "targets": list(window.targets)}
    told = {"name": window.name, "cron": window.cron, "for": format_duration(window.span), "timezone": window.timezone}
    return told | {"why": window.why} | {key: value for key, value in lists.items() if value}


def _describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    credential = "basic_auth" if endpoint.username else "authorization" if endpoint.authorization else "none"
    return {"url": endpoint.url, "credential": credential, "headers": sorted(endpoint.headers)}
