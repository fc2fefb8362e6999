"""Everything that is checked together, read once; what cannot be read becomes a problem and is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from remediator.check.rules import Rule, read_rules
from remediator.config import SHIPPED_PLAYBOOKS, SHIPPED_RULES, Config, shipped_files
from remediator.config.beside import Beside
from remediator.config.reading import load
from remediator.config.written import DEFAULT_SCRAPE_INTERVAL
from remediator.judge import RuleText
from remediator.model import Limits, Playbook
from remediator.playbooks.loader import load_playbook, names_used_twice
from remediator.policy import Policy
from remediator.policy_file import load_policy
from selfheal.common.documents import read_yaml
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.processes import Grouping

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class World:
    """Rules, playbooks, policy and configuration as far as they could be read."""

    rules: tuple[Rule, ...]
    playbooks: tuple[Playbook, ...]
    config: Config | None = None
    policy: Policy | None = None
    grouping: Grouping | None = None
    files: tuple[Path, ...] = ()
    complete: bool = True
    """Everything was there and could be read: only then can something be called missing."""

    @property
    def scrape_interval(self) -> float:
        """Seconds between two samples."""
        return self.config.scrape_interval if self.config else DEFAULT_SCRAPE_INTERVAL

    @property
    def alerts(self) -> tuple[Rule, ...]:
        """The rules that fire."""
        return tuple(rule for rule in self.rules if rule.is_alert)

    @property
    def recorded(self) -> Mapping[str, tuple[RuleText, ...]]:
        """The rules that record, by name, as the judge reads them."""
        found: dict[str, tuple[RuleText, ...]] = {}
        for rule in self.rules:
            if not rule.is_alert:
                found[rule.name] = (*found.get(rule.name, ()), rule_text(rule, self.scrape_interval))
        return found


def rule_text(rule: Rule, scrape_interval: float) -> RuleText:
    """Given a rule, return it as the judge reads it; a group without an interval is evaluated once per scrape."""
    interval = rule.interval if rule.interval is not None else scrape_interval
    return RuleText(rule.name, rule.expr, dict(rule.labels), interval, rule.for_seconds)


def read_world(
    config_file: Path | None, rules: Sequence[Path], playbooks: Sequence[Path]
) -> tuple[World, tuple[Problem, ...]]:
    """Given what to check, return what could be read, and every problem met in reading. Raise nothing."""
    problems: list[Problem] = []
    config = None if config_file is None else _read(partial(load, config_file), problems)
    if config is not None:
        rules, playbooks = rules or config.rules, playbooks or config.playbooks
    elif config_file is not None:
        # a mistake in the configuration hides none in the files that it names
        named_rules, named_playbooks, policy = _named_by(config_file)
        rules, playbooks = rules or named_rules, playbooks or named_playbooks
        if policy is not None:
            _read(partial(load_policy, policy), problems)
    elif not rules and not playbooks:
        rules, playbooks = shipped_files(SHIPPED_RULES), shipped_files(SHIPPED_PLAYBOOKS)
    loaded_rules = [_read(partial(read_rules, path), problems) for path in rules]
    limits = config.limits if config else Limits()
    loaded = [_read(partial(load_playbook, path, limits), problems) for path in playbooks]
    found = tuple(sorted((one for one in loaded if one is not None), key=lambda one: one.name))
    problems += names_used_twice(found)
    grouping = _grouping(config.process_config, problems) if config and config.process_config else None
    world = World(
        rules=tuple(rule for file in loaded_rules if file is not None for rule in file),
        playbooks=found,
        config=config,
        policy=_policy(config, grouping, problems) if config else None,
        grouping=grouping,
        files=tuple(path for path in (config_file, *rules, *playbooks) if path is not None),
        complete=bool(rules and playbooks)
        and None not in (*loaded_rules, *loaded)
        and (config_file is None or config is not None),
    )
    return world, tuple(problems)


def _named_by(config_file: Path) -> tuple[tuple[Path, ...], tuple[Path, ...], Path | None]:
    """Given a configuration that cannot be used, return the rules, playbooks and policy that it names all the same."""
    try:
        document = read_yaml(config_file)
    except ConfigError:
        return (), (), None
    if not isinstance(document, dict):
        return (), (), None
    beside = Beside(config_file.absolute())
    rules, playbooks = (
        beside.files([text for text in named if isinstance(text, str)] if isinstance(named, list) else None, "", place)
        for named, place in (
            (document.get("rules"), SHIPPED_RULES),
            (document.get("playbooks"), SHIPPED_PLAYBOOKS),
        )
    )
    policy = document.get("policy")
    return rules, playbooks, beside.place(policy) if isinstance(policy, str) else None


def _read(read: Callable[[], _Read], problems: list[Problem]) -> _Read | None:
    try:
        return read()
    except ConfigError as error:
        problems += error.problems
        return None


def _grouping(path: Path, problems: list[Problem]) -> Grouping | None:
    try:
        return Grouping.load(path)
    except ValueError as error:
        for line in str(error).splitlines():
            what, _, remedy = line.removeprefix(f"{path}: ").partition("; ")
            problems.append(Problem(str(path), "", what, remedy))
        return None


def _policy(config: Config, grouping: Grouping | None, problems: list[Problem]) -> Policy | None:
    path = config.policy
    if path is None:
        return None
    asked = [endpoint.url for endpoint in (config.prometheus, *config.alertmanagers)]
    monitoring = [*asked, f"http://{config.listen_address}"]
    return _read(
        lambda: load_policy(path, protected=config.protected, grouping=grouping, monitoring=monitoring), problems
    )
