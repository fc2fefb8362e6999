"""The shipped rules, their unit tests and pages, read once for the tests beside this file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selfheal.common.durations import parse_duration
from selfheal.common.shipped import shipped

RULES = shipped("rules")
FILES = sorted(file for file in RULES.glob("*.yml") if not file.name.startswith("overrides"))
UNIT_TESTS = sorted((RULES / "tests").glob("*.yml"))

# DESIGN's form of a threshold, and nothing else: the override per check, level and instance, or the literal
THRESHOLD = re.compile(
    r"> on \(instance\) group_left \(\) "
    r"\(max by \(instance\) \(selfheal:threshold\{check=\"(?P<check>[a-z_]+)\", level=\"(?P<level>[a-z]+)\"\}\) "
    r"or group by \(instance\) \((?P<left>[^()]+)\) \* (?P<default>[0-9.]+)\)"
)


@dataclass(frozen=True)
class Alert:
    """One alert of one file."""

    file: Path
    rule: dict[str, Any]

    @property
    def name(self) -> str:
        """Its alert name."""
        return str(self.rule["alert"])

    @property
    def expression(self) -> str:
        """Its PromQL."""
        return str(self.rule["expr"])

    @property
    def condition(self) -> str:
        """Its PromQL without the gate behind `unless`, which belongs to the alert that fires in its place."""
        return self.expression.partition(" unless ")[0]

    @property
    def thresholds(self) -> list[dict[str, str]]:
        """Check, level, measured series and default of every threshold in the condition."""
        return [found.groupdict() for found in THRESHOLD.finditer(self.condition)]


def _rules() -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in FILES:
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                yield file, rule


ALERTS = [Alert(file, rule) for file, rule in _rules() if "alert" in rule]
RECORDED = {str(rule["record"]): rule for _, rule in _rules() if "record" in rule}
WITH_THRESHOLD = [alert for alert in ALERTS if "selfheal:threshold" in alert.expression]


def groups(file: Path) -> list[dict[str, Any]]:
    """Return the groups of one rule file."""
    return list(yaml.safe_load(file.read_text("utf-8"))["groups"])


def unit_tests(alert: Alert) -> list[dict[str, Any]]:
    """Return the promtool tests in the test file that belongs to the alert's file."""
    file = RULES / "tests" / f"{alert.file.stem}_test.yml"
    return list(yaml.safe_load(file.read_text("utf-8"))["tests"])


def seconds(text: str) -> float:
    """Return a promtool time in seconds."""
    return parse_duration("0" if text in {"0s", "0m"} else text)
