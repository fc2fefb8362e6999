"""The remediator's configuration file: read strictly, all errors at once. Paths in it are relative to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remediator.config import (
    DEFAULT_HOST_RATES,
    DEFAULT_LISTEN_ADDRESS,
    SHIPPED,
    SHIPPED_PLAYBOOKS,
    SHIPPED_RULES,
    Config,
    Endpoint,
    Hmac,
    Host,
    Watchdog,
    is_loopback,
    parse_listen_address,
    shipped_files,
)
from remediator.config.written import (
    ApiCredential,
    ConfigFile,
    HookCredential,
    WrittenHost,
    WrittenServer,
)
from remediator.model import Limits, Mode, Window
from selfheal.common.documents import read_as, read_yaml
from selfheal.common.files import privacy_problem
from selfheal.common.keys import read_keys
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.secrets import Secret, read_tokens
from selfheal.common.tls import server_context
from selfheal.common.web_config import WebConfig
from selfheal.common.web_config_file import read_web_config

LEAST_KEY = 32
"""Characters of a key that links are signed with."""


def load(path: Path, listen_address: str = DEFAULT_LISTEN_ADDRESS, web_config: Path | None = None) -> Config:
    """Given the configuration file and the address to listen on, return the configuration.

    `web_config`, if given, stands for `web_config_file`. Raise ConfigError with every problem found, each with file,
    path and remedy.
    """
    path = path.absolute()
    document = read_yaml(path)
    document = {} if document is None else document
    try:
        written = read_as(ConfigFile, document, str(path))
    except ConfigError as error:
        raise ConfigError([*error.problems, *_beside(error, document, path, listen_address)]) from error
    return _Reading(path, listen_address, web_config).config(written)


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

    def __init__(self, path: Path, listen_address: str, web_config: Path | None = None) -> None:
        self.path = path
        self.listen_address = listen_address
        self.web_config_given = web_config
        self.web: WebConfig | None = None
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
            watchdog=Watchdog(written.watchdog.alert, written.watchdog.interval, written.watchdog.notify.command),
            selftest_every=written.selftest.every,
            monitoring=written.monitoring.value(),
            breaker=written.breaker.value(),
            repeats=written.repeats.value(),
            approval_valid_for=written.approval.valid_for,
            approval_link_key=self.link_key(written.approval.link_key_file),
            approval_url=written.approval.url,
            windows=tuple(
                Window(
                    window.name,
                    window.cron,
                    window.span,
                    window.timezone,
                    window.why,
                    tuple(window.playbooks or ()),
                    tuple(window.targets or ()),
                )
                for window in written.windows
            ),
            hook_hmac=self.hmac(written.hook),
            api_keys=self.keys(written.api),
            cors=tuple(dict.fromkeys(written.api.cors)) if written.api else (),
            web_config=self.web_config(written.web_config_file),
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

    def link_key(self, text: str | None) -> Secret | None:
        """Return what links are signed with, if a file is named for it."""
        found = None if text is None else self.secret(text, "approval.link_key_file")
        if found is not None and len(found.reveal()) < LEAST_KEY:
            what = f"holds a key shorter than {LEAST_KEY} characters"
            self.wrong("approval.link_key_file", what, "make one with: (umask 077; openssl rand -hex 32 > FILE)")
        return found

    def hmac(self, credential: HookCredential | None) -> Hmac | None:
        """Return how deliveries may be signed."""
        written = None if credential is None else credential.hmac
        if written is None:
            return None
        secret = self.secret(written.secret_file, "hook.hmac.secret_file")
        if secret is None:
            return None
        if len(secret.reveal()) < 16:
            what = "holds a secret shorter than 16 characters"
            self.wrong("hook.hmac.secret_file", what, "make one with: (umask 077; openssl rand -hex 32 > FILE)")
        return Hmac(secret, written.header, written.timestamp_header, written.tolerance)

    def keys(self, credential: ApiCredential | None) -> Path | None:
        """Return the file of API keys, which must be readable now and is read again when it changes."""
        if credential is None or credential.keys_file is None:
            return None
        path = self.place(credential.keys_file)
        try:
            read_keys(path)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            self.wrong("api.keys_file", what, remedy)
        return path

    def web_config(self, text: str | None) -> Path | None:
        """Return the file that asks for TLS and passwords, after looking whether it can be used."""
        path = self.web_config_given or self.optional(text)
        if path is None:
            return None
        try:
            self.web = read_web_config(path)
            if self.web.tls is not None:
                server_context(self.web.tls, path)
        except ConfigError as error:
            self.problems.extend(error.problems)
        return path

    def tokens(self, credential: HookCredential | ApiCredential | None, at: str) -> tuple[Secret, ...]:
        """Return the tokens that are valid there; none means no token is asked."""
        if credential is None or credential.token_file is None:
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
        passwords = self.web is not None and self.web.asks_who
        hook = bool(config.hook_tokens or config.hook_hmac) or passwords
        api = bool(config.api_tokens or config.api_keys) or passwords
        for at, asked in (("hook", hook), ("api", api)):
            # a file of credentials that cannot be used has been told already
            if not asked and not any(problem.path.startswith(at) for problem in self.problems):
                what = f"{self.listen_address} can be reached from elsewhere and {at} has no credential"
                self.wrong(at, what, f"add {at}: {{token_file: {at}.token}} or listen on 127.0.0.1")
