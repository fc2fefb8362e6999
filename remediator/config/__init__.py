"""The remediator's configuration file: read strictly, all errors at once, into frozen values. Paths are relative to it.

What the policy, the playbooks and the rules hold is read elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remediator.config.written import (
    ConfigFile,
    Credential,
    WrittenHost,
    WrittenServer,
)
from remediator.model import Limits, Mode, Rate
from selfheal.common.documents import read_as, read_yaml
from selfheal.common.durations import format_duration
from selfheal.common.files import privacy_problem
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.secrets import Secret, read_tokens
from selfheal.common.shipped import shipped

DEFAULT_LISTEN_ADDRESS = "127.0.0.1:9977"
DEFAULT_HOST_RATES = (Rate(10, 3_600.0),)
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
class Host:
    """The machine that is healed, and the `instance` values it is scraped as."""

    name: str
    instances: tuple[str, ...]


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

    @property
    def hosts(self) -> Mapping[str, tuple[str, ...]]:
        """Every configured host with its `instance` values."""
        return {self.host.name: self.host.instances}

    def hosts_of(self, instance: str) -> tuple[str, ...]:
        """Given an alert's `instance`, return the names of the configured hosts that are scraped as it."""
        return tuple(name for name, instances in self.hosts.items() if instance in instances)


def load(path: Path, listen_address: str = DEFAULT_LISTEN_ADDRESS) -> Config:
    """Given the configuration file and the address to listen on, return the configuration.

    Raise ConfigError with every problem found, each with file, path and remedy.
    """
    path = path.absolute()
    document = read_yaml(path)
    document = {} if document is None else document
    try:
        written = read_as(ConfigFile, document, str(path))
    except ConfigError as error:
        raise ConfigError([*error.problems, *_beside(error, document, path, listen_address)]) from error
    return _Reading(path, listen_address).config(written)


def _beside(error: ConfigError, document: Any, path: Path, listen_address: str) -> tuple[Problem, ...]:
    """Given a document that is misshapen in some sections, return what is wrong with what the others name."""
    if not isinstance(document, dict):
        return ()
    wrong = {re.split(r"[.\[]", problem.path)[0] for problem in error.problems}
    sound = {key: value for key, value in document.items() if key not in wrong}
    sound.setdefault("hosts", {"unknown": {"instances": ["unknown"]}})
    try:
        _Reading(path, listen_address).config(read_as(ConfigFile, sound, str(path)))
    except ConfigError as found:
        return tuple(problem for problem in found.problems if problem.path.partition(".")[0] not in wrong)
    return ()


class _Reading:
    """Turns what was written into values, gathering every problem that only the machine can tell."""

    def __init__(self, path: Path, listen_address: str) -> None:
        self.path = path
        self.listen_address = listen_address
        self.problems: list[Problem] = []

    def config(self, written: ConfigFile) -> Config:
        """Return the configuration. Raise ConfigError with every problem."""
        rates = tuple(written.limits.rate) if written.limits.rate else None
        limits = Limits(cooldown=written.limits.cooldown, rate=rates or Limits().rate)
        state = self.place(written.state)
        policy, process_config = self.optional(written.policy), self.optional(written.process_config)
        named = [path for path in (policy, process_config) if path is not None]
        config = Config(
            file=self.path,
            listen_address=self.listen_address,
            state=state,
            prometheus=self.endpoint(written.prometheus, "prometheus"),
            scrape_interval=written.prometheus.scrape_interval,
            ignore_labels=tuple(written.prometheus.ignore_labels),
            alertmanagers=tuple(
                self.endpoint(server, f"alertmanagers[{index}]") for index, server in enumerate(written.alertmanagers)
            ),
            receiver=written.receiver,
            host=self.host(written.hosts),
            playbooks=self.files(written.playbooks, "playbooks", SHIPPED_PLAYBOOKS),
            rules=self.files(written.rules, "rules", SHIPPED_RULES),
            policy=policy,
            process_config=process_config,
            protected=tuple(dict.fromkeys([*map(self.place, written.protected), state, self.path, *named])),
            highest_mode=Mode(written.highest_mode),
            hook_tokens=self.tokens(written.hook, "hook"),
            api_tokens=self.tokens(written.api, "api"),
            limits=limits,
            host_rates=rates or DEFAULT_HOST_RATES,
            reconcile=written.reconcile,
            retention=written.retention,
        )
        self.check_credentials(config)
        if self.problems:
            raise ConfigError(self.problems)
        return config

    def wrong(self, at: str, what: str, remedy: str) -> None:
        """Note one problem."""
        self.problems.append(Problem(str(self.path), at, what, remedy))

    def place(self, text: str) -> Path:
        """Given a path as written, return it absolute; it is relative to the file."""
        return self.path.parent / text

    def optional(self, text: str | None) -> Path | None:
        """Given a path as written or None, return it absolute or None."""
        return None if text is None else self.place(text)

    def host(self, hosts: Mapping[str, WrittenHost]) -> Host:
        """Return the one host; several are possible only when actions can run elsewhere."""
        if len(hosts) != 1:
            self.wrong("hosts", f"must hold exactly one host, this machine, not {len(hosts)}", "keep this machine's")
            return Host("", ())
        name, host = next(iter(hosts.items()))
        return Host(name, tuple(dict.fromkeys(host.instances)))

    def files(self, patterns: list[str] | None, at: str, place: tuple[str, ...]) -> tuple[Path, ...]:
        """Given patterns as written (or None for the shipped files), return the files they name, without repeats."""
        found: dict[Path, None] = {}
        for index, pattern in enumerate([SHIPPED] if patterns is None else patterns):
            matches = shipped_files(place) if pattern == SHIPPED else self.matches(pattern)
            if not matches:
                self.wrong(f"{at}[{index}]", f"{pattern!r} names no file", "mend the path or remove the line")
            found.update(dict.fromkeys(matches))
        return tuple(found)

    def matches(self, pattern: str) -> tuple[Path, ...]:
        """Given a path as written, in which * and ** may stand, return the files it names, sorted."""
        place = self.place(pattern)
        # only the part as written may hold wildcards, not the folder that the file happens to be in
        root = Path(place.anchor) if Path(pattern).is_absolute() else self.path.parent
        if place == root:
            return ()
        return tuple(sorted(match for match in root.glob(str(place.relative_to(root))) if match.is_file()))

    def endpoint(self, server: WrittenServer, at: str) -> Endpoint:
        """Return where and how to ask."""
        basic, authorization, tls = server.basic_auth, server.authorization, server.tls_config
        if basic and authorization:
            self.wrong(at, "basic_auth and authorization exclude each other", "keep one")
        if (tls.cert_file is None) != (tls.key_file is None):
            self.wrong(f"{at}.tls_config", "cert_file and key_file belong together", "give both or neither")
        password = self.secret(basic.password_file, f"{at}.basic_auth.password_file") if basic else None
        credentials = (
            self.secret(authorization.credentials_file, f"{at}.authorization.credentials_file")
            if authorization
            else None
        )
        return Endpoint(
            url=server.url,
            username=basic.username if basic else "",
            password=password,
            authorization=Secret(f"{authorization.type} {credentials.reveal()}")
            if authorization and credentials
            else None,
            headers=dict(server.headers),
            ca_file=self.present(tls.ca_file, f"{at}.tls_config.ca_file"),
            cert_file=self.present(tls.cert_file, f"{at}.tls_config.cert_file"),
            key_file=self.present(tls.key_file, f"{at}.tls_config.key_file"),
            insecure_skip_verify=tls.insecure_skip_verify,
        )

    def present(self, text: str | None, at: str) -> Path | None:
        """Given the path of a file that must exist, return it absolute."""
        if text is None:
            return None
        path = self.place(text)
        if not path.is_file():
            self.wrong(at, f"{text!r} names no file", "mend the path")
        return path

    def secret(self, text: str, at: str) -> Secret | None:
        """Given the path of a private file that holds one secret, return the secret."""
        path = self.place(text)
        try:
            problem = privacy_problem(path)
            content = path.read_text("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            self.wrong(at, f"cannot read {path} ({error.__class__.__name__})", "name a file that this user can read")
            return None
        if problem is None and (not content or not content.isprintable()):
            problem = f"{path} must hold one line; write the secret into it"
        if problem is not None:
            self.wrong(at, *problem.split("; ", 1))
            return None
        return Secret(content)

    def tokens(self, credential: Credential | None, at: str) -> tuple[Secret, ...]:
        """Return the tokens that are valid there; none means no credential is asked."""
        if credential is None:
            return ()
        try:
            return read_tokens(self.place(credential.token_file))
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            self.wrong(f"{at}.token_file", what, remedy or "make one with: (umask 077; openssl rand -hex 24 > FILE)")
            return ()

    def check_credentials(self, config: Config) -> None:
        """Refuse to be reachable from elsewhere without credentials."""
        try:
            host, _ = parse_listen_address(self.listen_address)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            self.problems.append(Problem("--web.listen-address", "", what, remedy))
            return
        if is_loopback(host):
            return
        for at, tokens, written in (("hook", config.hook_tokens, "hook"), ("api", config.api_tokens, "api")):
            # a token file that cannot be used has been told already
            if not tokens and not any(problem.path.startswith(written) for problem in self.problems):
                what = f"{self.listen_address} can be reached from elsewhere and {at} has no credential"
                self.wrong(at, what, f"add {at}: {{token_file: {at}.token}} or listen on 127.0.0.1")


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


def is_loopback(host: str) -> bool:
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
        "hook": {"tokens": len(config.hook_tokens)},
        "api": {"tokens": len(config.api_tokens)},
        "limits": {
            "cooldown": format_duration(config.limits.cooldown),
            "rate": [f"{rate.count}/{format_duration(rate.window)}" for rate in config.host_rates],
        },
        "reconcile": format_duration(config.reconcile),
        "retention": format_duration(config.retention),
    }


def _describe_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    credential = "basic_auth" if endpoint.username else "authorization" if endpoint.authorization else "none"
    return {"url": endpoint.url, "credential": credential, "headers": sorted(endpoint.headers)}
