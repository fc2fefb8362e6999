"""Silences as Alertmanager lists them, matched by ourselves: for an alert that it does not have (yet, or again)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Condition:
    """One matcher of a silence."""

    label: str
    value: str
    regex: bool
    equal: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Given an alert's labels, say whether they meet it; what cannot be read here is taken for met."""
        found = labels.get(self.label, "")
        if not self.regex:
            return (found == self.value) is self.equal
        try:
            return (re.fullmatch(self.value, found) is not None) is self.equal
        except re.error:
            # Go knows expressions that Python does not: rather hold one alert too many
            return True


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence in force: it covers the alerts that meet all of its conditions."""

    id: str
    conditions: tuple[Condition, ...]

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Given an alert's labels, say whether it is silenced by this one."""
        return all(condition.holds(labels) for condition in self.conditions)


def read_silence(value: Mapping[str, Any]) -> Silence | None:
    """Given one entry of /api/v2/silences, return the silence, or None if it is not in force."""
    status, matchers = value.get("status"), value.get("matchers")
    if not isinstance(status, dict) or status.get("state") != "active" or not isinstance(matchers, list):
        return None
    conditions = tuple(
        Condition(
            str(matcher.get("name")),
            str(matcher.get("value", "")),
            matcher.get("isRegex") is True,
            matcher.get("isEqual") is not False,
        )
        for matcher in matchers
        if isinstance(matcher, dict)
    )
    return Silence(str(value.get("id")), conditions)
