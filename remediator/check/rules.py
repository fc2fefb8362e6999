"""Prometheus rule files, read as far as healing needs them. What only Prometheus knows of a rule, promtool checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from remediator.judge.parse import Unreadable, parse
from selfheal.common.documents import Duration, Section, kind_of, parse_yaml, read_as, read_text, told

LARGEST_FILE = 1024 * 1024
"""Bytes; the largest public collections of rules are smaller."""
MOST_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule and where it stands; times in seconds."""

    file: str
    at: str
    name: str
    is_alert: bool
    expr: str
    for_seconds: float
    interval: float | None
    """Of its group; None where the group leaves it to Prometheus."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def for_people_only(self) -> bool:
        """Say whether no machine should answer it."""
        return self.annotations.get("playbook") == "none"


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Given a rule file, return its rules in order. Raise ConfigError with everything that is wrong with it."""
    document = parse_yaml(read_text(path, LARGEST_FILE), str(path), MOST_NODES)
    written = read_as(_File, document, str(path))
    return tuple(
        _rule(entry, group, str(path), f"groups[{number}].rules[{position}]")
        for number, group in enumerate(written.groups)
        for position, entry in enumerate(group.rules)
    )


def _rule(entry: _Rule, group: _Group, file: str, at: str) -> Rule:
    return Rule(
        file=file,
        at=at,
        name=entry.alert or entry.record or "",
        is_alert=entry.alert is not None,
        expr=entry.expr,
        for_seconds=entry.for_,
        interval=group.interval,
        labels=dict(entry.labels),
        annotations=dict(entry.annotations),
    )


def _text(value: Any) -> Any:
    # Prometheus takes a number for text here
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _zero_or_duration(value: Any) -> Any:
    return "0s" if value == 0 and not isinstance(value, bool) else value


def _expression(value: Any) -> Any:
    value = _text(value)
    if not isinstance(value, str) or not value.strip():
        told(f"must be an expression, not {kind_of(value)}", "write PromQL")
    try:
        parse(value)
    except Unreadable as error:
        # what our reader does not know Prometheus may: only text that is no PromQL at all is wrong here
        if "does not parse" in str(error):
            told(str(error), "mend the expression")
    return value


def _not_empty(value: str) -> str:
    if not value:
        told("must not be empty", "write a name")
    return value


_Name = Annotated[str, AfterValidator(_not_empty)]
_Texts = dict[str, Annotated[str, BeforeValidator(_text)]]
_For = Annotated[Duration, BeforeValidator(_zero_or_duration)]


class _Rule(Section):
    alert: _Name | None = None
    record: _Name | None = None
    expr: Annotated[str, BeforeValidator(_expression)]
    for_: _For = Field(default=0.0, alias="for")
    keep_firing_for: _For = 0.0
    labels: _Texts = Field(default_factory=dict)
    annotations: _Texts = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> _Rule:
        if (self.alert is None) == (self.record is None):
            told("must have either alert or record", "keep one of them")
        if self.record is not None and (self.for_ or self.annotations):
            told("a recorded rule has neither for nor annotations", "remove them")
        return self


class _Group(Section):
    name: _Name
    interval: Duration | None = None
    limit: int = 0
    query_offset: Duration | None = None
    labels: _Texts = Field(default_factory=dict)
    rules: list[_Rule] = Field(default_factory=list)


class _File(Section):
    groups: list[_Group] = Field(default_factory=list)
