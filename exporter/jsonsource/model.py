"""What numbers are wanted from which source; values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeAlias

from exporter.jsonsource.paths import Path as JsonPath
from exporter.probe.model import Http

MeasureKind: TypeAlias = Literal["gauge", "counter", "histogram"]

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Fault(StrEnum):
    """What was wrong with a part of what was read; a closed set, for it is a label."""

    BROKEN = "broken"  # a line is no JSON
    LONG = "long"  # a line is longer than any should be
    PATH = "path"  # an expression cannot be applied to what is there
    VALUE = "value"  # what should be a number is none
    LABEL = "label"  # what should be a label's value is a list, an object or too long
    SERIES = "series"  # one label value too many
    TWICE = "twice"  # two values of one document have the same labels


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric, and where its samples stand in a line or document."""

    name: str
    kind: MeasureKind
    help: str
    value: JsonPath | None
    """None: each counts as 1."""
    labels: tuple[tuple[str, JsonPath], ...] = ()
    where: str | None = None
    """The condition as it is written, so that equal ones are asked once."""
    select: JsonPath | None = None
    """A list, or an object, of which each gives a sample; None: the whole line or document gives one."""
    scale: float = 1
    values: Mapping[str, float] = field(default_factory=dict)
    """The numbers that texts stand for."""
    is_total: bool = False
    """A counter's value is its total so far, not what is to be added."""
    buckets: tuple[float, ...] = DEFAULT_BUCKETS


@dataclass(frozen=True, slots=True)
class Source:
    """One file, log or URL, read at an interval."""

    name: str
    place: Path | Http
    is_log: bool
    """Its lines are documents of their own, read once each."""
    every: float
    timeout: float
    measures: tuple[Measure, ...]
    from_beginning: bool = False
    size_limit: int = 1 << 24
    most_series: int = 100
    """Of each metric."""
