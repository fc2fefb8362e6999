"""The configuration against rules, playbooks and policy: limits that could never act, and names that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from remediator.check.world import World
from remediator.config import Config
from remediator.errors import Refused
from remediator.watchdog import SELFTEST
from selfheal.common.durations import format_duration
from selfheal.common.problems import Problem

name = "settings"


def check(world: World) -> Iterator[Problem]:
    """Yield every setting that would silently do nothing."""
    config = world.config
    if config is None:
        return
    file = str(config.file)
    yield from (Problem(file, at, what, remedy, "warning") for at, what, remedy in _warnings(config))
    yield from (Problem(file, at, what, remedy) for at, what, remedy in _looks_back(config))
    if world.complete:
        yield from (Problem(file, at, what, remedy, "warning") for at, what, remedy in _unfired(config, world))
    if config.watchdog.command is not None:
        yield from _alarm(config, world)


_Told = Iterator[tuple[str, str, str]]


def _warnings(config: Config) -> _Told:
    possible = min(rate.count * max(1.0, config.breaker.window / rate.window) for rate in config.host_rates)
    if config.breaker.minimum > possible:
        window = format_duration(config.breaker.window)
        what = f"is never reached: limits.rate lets at most {possible:.0f} begin in {window}, so no breaker opens"
        yield "breaker.minimum", what, "lower it, or lengthen breaker.window"
    if config.monitoring.within < config.scrape_interval:
        what = f"is shorter than the scrape interval of {format_duration(config.scrape_interval)}"
        yield "monitoring.within", f"{what}: what breaks together does not begin within it", "write for example 2m"
    if config.approval_link_key is not None and config.approval_url is None:
        yield "approval.link_key_file", "signs nothing: without approval.url there are no links", "add approval.url"
    if config.hook_hmac is not None and config.hook_hmac.timestamp_header is None:
        what = "is missing, so whoever saw a signed delivery can send it again at any time"
        yield "hook.hmac.timestamp_header", what, "add it here and in Grafana's contact point"


def _looks_back(config: Config) -> _Told:
    spans = [("breaker.window", config.breaker.window), ("repeats.window", config.repeats.window)]
    spans += [("limits.cooldown", config.limits.cooldown)]
    spans += [(f"limits.rate[{index}]", rate.window) for index, rate in enumerate(config.host_rates)]
    for at, span in spans:
        if span > config.retention:
            what = f"looks back {format_duration(span)}, and history is kept for {format_duration(config.retention)}"
            yield at, what, "shorten it or raise retention"


def _unfired(config: Config, world: World) -> _Told:
    fired = {rule.name for rule in world.alerts}
    if config.watchdog.alert not in fired:
        what = f"no rule fires {config.watchdog.alert}, so people are told that nothing arrives"
        yield "watchdog.alert", what, "add rules: [shipped], or a rule that always fires"
    if config.selftest_every is None:
        return
    if SELFTEST not in fired:
        yield "selftest.every", f"no rule fires {SELFTEST}, so every self-test fails", "add rules: [shipped]"
    elif not any(playbook.trigger.alert == SELFTEST for playbook in world.playbooks):
        what = f"no playbook answers {SELFTEST}, so every self-test fails"
        yield "selftest.every", what, "add playbooks: [shipped], or the shipped selftest.yml"


def _alarm(config: Config, world: World) -> Iterator[Problem]:
    at, command = "watchdog.notify.command", config.watchdog.command or ""
    if config.policy is None:
        what = "no policy is named that could permit it"
        yield Problem(str(config.file), at, what, "add policy: policy.yml")
    elif world.policy is not None and world.policy.problem is None:
        try:
            world.policy.command(command)
        except Refused as refused:
            what, _, remedy = refused.detail.partition("; ")
            yield Problem(str(config.file), at, what, remedy)
