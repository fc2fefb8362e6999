"""The remediator's configuration file: read strictly, all errors at once. Paths in it are relative to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remediator.config import (
    DEFAULT_HOST_RATES,
    DEFAULT_LISTEN_ADDRESS,
    SHIPPED_PLAYBOOKS,
    SHIPPED_RULES,
    Config,
    Host,
    Watchdog,
    credentials,
)
from remediator.config.beside import Beside
from remediator.config.written import ConfigFile, WrittenHost
from remediator.model import Limits, Mode
from selfheal.common.documents import read_as, read_yaml
from selfheal.common.problems import ConfigError, Problem


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
        self.beside = Beside(path)
        self.listen_address = listen_address
        self.web_config_given = web_config

    def config(self, written: ConfigFile) -> Config:
        """Return the configuration. Raise ConfigError with every problem."""
        rates = tuple(written.limits.rate) if written.limits.rate else None
        limits = Limits(cooldown=written.limits.cooldown, rate=rates or Limits().rate)
        beside = self.beside
        state = beside.place(written.state)
        policy, process_config = beside.optional(written.policy), beside.optional(written.process_config)
        web_file = self.web_config_given or beside.optional(written.web_config_file)
        web = None if web_file is None else credentials.web_config(beside, web_file)
        named = [path for path in (policy, process_config) if path is not None]
        config = Config(
            file=beside.path,
            listen_address=self.listen_address,
            state=state,
            prometheus=credentials.endpoint(beside, written.prometheus, "prometheus"),
            scrape_interval=written.prometheus.scrape_interval,
            ignore_labels=tuple(written.prometheus.ignore_labels),
            alertmanagers=tuple(
                credentials.endpoint(beside, server, f"alertmanagers[{index}]")
                for index, server in enumerate(written.alertmanagers)
            ),
            receiver=written.receiver,
            host=self.host(written.hosts),
            playbooks=beside.files(written.playbooks, "playbooks", SHIPPED_PLAYBOOKS),
            rules=beside.files(written.rules, "rules", SHIPPED_RULES),
            policy=policy,
            process_config=process_config,
            protected=tuple(dict.fromkeys([*map(beside.place, written.protected), state, beside.path, *named])),
            highest_mode=Mode(written.highest_mode),
            hook_tokens=credentials.tokens(beside, written.hook, "hook"),
            api_tokens=credentials.tokens(beside, written.api, "api"),
            limits=limits,
            host_rates=rates or DEFAULT_HOST_RATES,
            reconcile=written.reconcile,
            retention=written.retention,
            watchdog=Watchdog(written.watchdog.alert, written.watchdog.interval, written.watchdog.notify.command),
            selftest_every=written.selftest.every,
            monitoring=written.monitoring.value(),
            breaker=written.breaker.value(),
            repeats=written.repeats.value(),
            not_fixed=written.trust.not_fixed,
            approval_valid_for=written.approval.valid_for,
            approval_link_key=credentials.link_key(beside, written.approval.link_key_file),
            approval_url=written.approval.url,
            windows=tuple(window.value() for window in written.windows),
            hook_hmac=credentials.hmac(beside, written.hook),
            api_keys=credentials.keys(beside, written.api),
            cors=tuple(dict.fromkeys(written.api.cors)) if written.api else (),
            web_config=web_file,
        )
        credentials.check_credentials(beside, config, web)
        if beside.problems:
            raise ConfigError(beside.problems)
        return config

    def host(self, hosts: Mapping[str, WrittenHost]) -> Host:
        """Return the one host; several are possible only when actions can run elsewhere."""
        if len(hosts) != 1:
            self.beside.wrong(
                "hosts", f"must hold exactly one host, this machine, not {len(hosts)}", "keep this machine's"
            )
            return Host("", ())
        name, host = next(iter(hosts.items()))
        return Host(name, tuple(dict.fromkeys(host.instances)))
