"""The file of JSON sources: its shape, and what it says as values.

It loads pydantic: import it only once a file is to be read.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from exporter.jsonsource.model import DEFAULT_BUCKETS, Measure, MeasureKind, Source
from exporter.jsonsource.paths import compile_path
from exporter.probe.model import Http
from exporter.probe.written_http import FilePath, Limit, Span, Url, WrittenRequest, check_request, read_request
from selfheal.common.documents import Section, kind_of, read_as, read_yaml, told
from selfheal.common.problems import ConfigError, Problem

DEFAULT_EVERY = 15.0
DEFAULT_TIMEOUT = 5.0

_RESERVED = ("node_", "namedprocess_", "selfheal_", "probe_", "process_", "scrape_", "up")
_ENDINGS = ("_total", "_count", "_sum", "_bucket", "_created")
_REQUEST_KEYS = ("headers", "basic_auth", "authorization", "tls_config", "follow_redirects", "timeout")


def _metric_name(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", value) or len(value) > 200:
        told(f"{value[:80]!r} is no name of a metric", "use letters, digits and _")
    if value == "up" or value.startswith(_RESERVED[:-1]):
        told(f"{value} could be taken for a metric of others", "begin with the name of what it is of")
    return value


def _label_name(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", value) or value.startswith("__"):
        told(f"{value[:80]!r} is no label name", "use letters, digits and _, not two of them in front")
    return value


def _source_name(value: str) -> str:
    if not value.strip() or len(value) > 100 or not value.isprintable():
        told(f"{value[:80]!r} is no name of a source", "write 1 to 100 characters on one line")
    return value


def _expression(value: str) -> str:
    try:
        compile_path(value)
    except ValueError as error:
        told(f"{value[:80]!r} is no JMESPath expression: {error}", "mend it; texts stand in '…', numbers in `…`")
    return value


def _kind(value: str) -> str:
    if value not in ("gauge", "counter", "histogram"):
        told(f"{value[:80]!r} is no type", "write gauge, counter or histogram")
    return value


def _start(value: str) -> str:
    if value not in ("beginning", "end"):
        told(f"{value[:80]!r} is unknown", "write beginning or end")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        told(f"must be a number, not {kind_of(value)}", "write for example 0.001")
    if not math.isfinite(value):
        told("must be a finite number", "write for example 0.001")
    return value


def _scale(value: float) -> float:
    if value == 0:
        told("a scale of 0 leaves nothing", "write for example 0.001")
    return value


def _bounds(value: list[float]) -> list[float]:
    if sorted(set(value)) != value:
        told("bounds must ascend", "write for example [0.1, 0.5, 1, 5]; +Inf comes by itself")
    return value


def _help(value: str) -> str:
    if not value.strip():
        told("must not be empty", "say what is measured")
    return value


_Expression = Annotated[str, AfterValidator(_expression)]
_Number = Annotated[float, BeforeValidator(_number)]


class WrittenMeasure(Section):
    """One metric."""

    type: Annotated[str, AfterValidator(_kind)]
    help: Annotated[str, AfterValidator(_help)]
    value: _Expression | None = None
    where: _Expression | None = None
    select: _Expression | None = None
    labels: Annotated[dict[Annotated[str, AfterValidator(_label_name)], _Expression], Field(max_length=10)] = Field(
        default_factory=dict
    )
    scale: Annotated[_Number, AfterValidator(_scale)] = 1
    values: dict[str, _Number] = Field(default_factory=dict)
    total: bool = False
    buckets: Annotated[list[_Number], Field(min_length=1, max_length=100), AfterValidator(_bounds)] | None = None

    @model_validator(mode="after")
    def _check(self) -> WrittenMeasure:
        if self.value is None and (self.type != "counter" or self.total):
            told("value is missing", "name what is measured; only a counter counts without one")
        if self.value is None and (self.values or self.scale != 1):
            told("values and scale are of a value, and there is none", "add value, or leave them out")
        if self.buckets is not None and self.type != "histogram":
            told("buckets are of a histogram", "leave them out")
        if self.total and self.type != "counter":
            told("total is of a counter", "leave it out")
        if self.type == "counter" and self.scale < 0:
            told("a counter cannot fall", "write a scale above 0")
        if self.type == "histogram" and "le" in self.labels:
            told("le is a label of every histogram", "choose another name")
        return self


class WrittenSource(WrittenRequest):
    """One file, log or URL."""

    file: FilePath | None = None
    lines: FilePath | None = None
    url: Url | None = None
    every: Span | None = None
    timeout: Limit | None = None
    start: Annotated[str, AfterValidator(_start)] | None = None
    size_limit: Annotated[int, Field(ge=1, le=1 << 30)] | None = None
    most_series: Annotated[int, Field(ge=1, le=10_000)] = 100
    metrics: Annotated[dict[Annotated[str, AfterValidator(_metric_name)], WrittenMeasure], Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> WrittenSource:
        given = [key for key in ("file", "lines", "url") if getattr(self, key) is not None]
        if len(given) != 1:
            what = f"{' and '.join(given)} contradict each other" if given else "nothing to read is given"
            told(what, "give one of file, lines and url")
        if self.url is None:
            for key in _REQUEST_KEYS:
                if key in self.model_fields_set:
                    told(f"{key} is of a url", "leave it out")
        if self.lines is None and self.start is not None:
            told("start is of lines", "leave it out")
        if self.lines is not None and self.size_limit is not None:
            told("size_limit is of a whole document", "leave it out")
        if self.every is not None and self.timeout is not None and self.timeout > self.every:
            told("timeout is longer than every", "shorten it, or ask less often")
        check_request(self)
        return self


class WrittenFile(Section):
    """The whole file."""

    every: Span = DEFAULT_EVERY
    timeout: Limit = DEFAULT_TIMEOUT
    sources: Annotated[dict[Annotated[str, AfterValidator(_source_name)], WrittenSource], Field(min_length=1)]


def read_sources(path: Path) -> tuple[Source, ...]:
    """Given the file of sources, return them. Raise ConfigError with everything that is wrong with it."""
    written = read_as(WrittenFile, read_yaml(path), str(path))
    problems = [Problem(str(path), *told) for told in _across(written)]
    if problems:
        raise ConfigError(problems)
    return tuple(_source(name, source, written, path.parent) for name, source in written.sources.items())


def _across(written: WrittenFile) -> list[tuple[str, str, str]]:
    """Return what is wrong between the parts: place, what, remedy."""
    found: list[tuple[str, str, str]] = []
    seen: dict[str, str] = {}
    for source_name, source in written.sources.items():
        for name, measure in source.metrics.items():
            place = f"sources.{source_name}.metrics.{name}"
            if name in seen:
                found.append((place, f"stands under {seen[name]} too", "give it another name; series would be double"))
            seen.setdefault(name, f"sources.{source_name}")
            found += [(place, *problem) for problem in _misfits(name, measure, is_log=source.lines is not None)]
    return found


def _misfits(name: str, measure: WrittenMeasure, *, is_log: bool) -> list[tuple[str, str]]:
    """Return what is wrong with a metric in its source: what, remedy."""
    found = []
    if measure.type == "counter" and not name.endswith("_total"):
        found.append(("a counter's name ends with _total", f"write {name}_total"))
    if measure.type != "counter" and name.endswith(_ENDINGS):
        found.append((f"{name} ends as a part of another type would", f"leave out _{name.rpartition('_')[2]}"))
    if not is_log and measure.type == "histogram":
        found.append(("a histogram needs lines, each of which is observed once", "write type: gauge"))
    if not is_log and measure.type == "counter" and (measure.value is None or measure.total):
        found.append(
            ("a document's counter is a total that the program counts", "name it by value, and leave out total")
        )
    return found


def _source(name: str, written: WrittenSource, file: WrittenFile, folder: Path) -> Source:
    every = written.every or file.every
    # a request has ended before its next turn
    timeout = min(written.timeout or file.timeout, every)
    limit = written.size_limit or 1 << 24
    place: Path | Http
    if written.url is not None:
        place = replace(read_request(written.url, written, folder), body_size_limit=limit)
    else:
        place = folder / (written.file or written.lines or "")
    return Source(
        name=name,
        place=place,
        is_log=written.lines is not None,
        every=every,
        timeout=timeout,
        measures=tuple(_measure(name, measure) for name, measure in written.metrics.items()),
        from_beginning=written.start == "beginning",
        size_limit=limit,
        most_series=written.most_series,
    )


_KINDS: dict[str, MeasureKind] = {"gauge": "gauge", "counter": "counter", "histogram": "histogram"}


def _measure(name: str, written: WrittenMeasure) -> Measure:
    return Measure(
        name=name,
        kind=_KINDS[written.type],
        help=written.help,
        value=compile_path(written.value) if written.value is not None else None,
        labels=tuple((label, compile_path(path)) for label, path in written.labels.items()),
        where=written.where,
        select=compile_path(written.select) if written.select is not None else None,
        scale=written.scale,
        values=dict(written.values),
        is_total=written.total,
        buckets=tuple(written.buckets) if written.buckets is not None else DEFAULT_BUCKETS,
    )
