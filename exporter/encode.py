"""Metrics as text, 0.0.4 or OpenMetrics 1.0: names and labels are rendered once, afterwards only values are.

https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/. The two differ in their headers only: every sample's line is
the same in both, so a line may be kept rendered. Nothing here reads the host.
"""

from __future__ import annotations

import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import attrgetter
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from exporter.duplicates import Series, keep_first

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "summary", "untyped"]

_sample_names = attrgetter("metric.sample_names")

L = TypeVar("L", bound=tuple[str, ...])

_LARGEST = sys.float_info.max

# label values come from the host and may change for ever; a cache that has grown past this starts anew
_MOST_PREFIXES = 20_000

# what the names of a family's samples may have behind the family's own
_ENDS: dict[Kind, tuple[str, ...]] = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}

# NUL is replaced: Prometheus takes it for the end of the page
_IN_LABELS = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\0": "\ufffd"})
_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n", "\0": "\ufffd"})


class Histogram(NamedTuple):
    """Observations by size: the buckets' upper bounds, how many fell into each and, last, above all; and their sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


class _Prefixes(dict[tuple[str, ...], str]):
    """The rendered `name{labels} ` by label values; what is not there yet is rendered when asked for."""

    __slots__ = ("labels", "name")

    def __init__(self, name: str, labels: tuple[str, ...]) -> None:
        super().__init__()
        self.name = name
        self.labels = labels

    def __missing__(self, values: tuple[str, ...]) -> str:
        if len(self) >= _MOST_PREFIXES:
            self.clear()
        inside = _inside(self.labels, values)
        prefix = self[values] = f"{self.name}{{{inside}}} " if inside else f"{self.name} "
        return prefix


class Metric:
    """One metric family: what never changes about it, and the rendered `name{labels} ` of every series it has had."""

    __slots__ = ("_buckets", "_help", "_open", "header", "kind", "labels", "name", "prefixes", "sample_names")

    def __init__(self, name: str, kind: Kind, text: str, labels: tuple[str, ...] = ()) -> None:
        """Raise ValueError if a name is none: some are made of what the kernel says, and one could spoil the page."""
        # isidentifier knows more letters than the formats do
        if not (name.isascii() and name.replace(":", "_").isidentifier()):
            raise ValueError(f"{name!r} is no name of a metric")
        for label in labels:
            if not (label.isascii() and label.isidentifier()):
                raise ValueError(f"{label!r} is no name of a label")
        self.name = name
        self.kind = kind
        self.labels = labels
        self._help = text
        self.header = f"# HELP {name} {text.translate(_IN_HELP)}\n# TYPE {name} {kind}\n"
        self._open: tuple[str, str] | None = None
        self.prefixes = _Prefixes(name, labels)
        self.sample_names = (name, *(f"{name}{end}" for end in _ENDS.get(kind, ())))
        self._buckets: dict[tuple[tuple[str, ...], tuple[float, ...]], tuple[str, ...]] = {}

    def open_header(self, others: Collection[str]) -> str:
        """Given the names of all families on the page, return the header as OpenMetrics has it.

        There a counter's family goes without the `_total` of its samples; one that cannot is of a kind not known.
        """
        short = self.name.removesuffix("_total")
        if self.kind == "counter" and short != self.name and short not in others:
            return self._render_open(short, "counter")
        return self._render_open(self.name, "unknown" if self.kind in ("counter", "untyped") else self.kind)

    def _render_open(self, name: str, kind: str) -> str:
        if self._open is None or self._open[0] != name:
            text = self._help.translate(_IN_LABELS)
            self._open = (name, f"# HELP {name} {text}\n# TYPE {name} {kind}\n")
        return self._open[1]

    def prefix(self, values: tuple[str, ...]) -> str:
        """Given the label values in order, return the line up to its value."""
        return self.prefixes[values]

    def of(self, samples: Mapping[L, float]) -> Family:
        """Given one value per label values, return the family to be exported."""
        return Family(self, samples.items())

    def only(self, value: float) -> Family:
        """Given the value of a metric without labels, return the family to be exported."""
        return Family(self, [((), value)])

    def histograms(self, found: Mapping[L, Histogram]) -> Family:
        """Given one histogram per label values, return the family to be exported."""
        lines: list[str] = []
        for labels, histogram in found.items():
            *buckets, counted, summed = self._bucket_prefixes(labels, histogram.bounds)
            totals = list(accumulate(histogram.counts))
            lines += [f"{prefix}{total}\n" for prefix, total in zip(buckets, totals, strict=True)]
            lines.append(f"{summed}{format_value(histogram.sum)}\n")
            lines.append(f"{counted}{totals[-1]}\n")
        return Family(self, (), lines)

    def _bucket_prefixes(self, values: tuple[str, ...], bounds: tuple[float, ...]) -> tuple[str, ...]:
        known = self._buckets.get((values, bounds))
        if known is not None:
            return known
        if len(self._buckets) * len(bounds) >= _MOST_PREFIXES:
            self._buckets.clear()
        inside = _inside(self.labels, values)
        before, around = (f"{inside},", f"{{{inside}}}") if inside else ("", "")
        # both formats may have a bound as a float: OpenMetrics wants it, so that 1 and 1.0 are not two series
        ends = [format_value(float(bound)) for bound in (*bounds, math.inf)]
        prefixes = self._buckets[(values, bounds)] = (
            *(f'{self.name}_bucket{{{before}le="{end}"}} ' for end in ends),
            f"{self.name}_count{around} ",
            f"{self.name}_sum{around} ",
        )
        return prefixes


def _inside(labels: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = zip(labels, values, strict=True)
    return ",".join(f'{label}="{value.translate(_IN_LABELS)}"' for label, value in pairs)


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its present samples, each label values and a value; whole numbers stay `int`.

    `rendered` holds whole lines, each with its line break, that need not be rendered again; they follow the samples.
    """

    metric: Metric
    samples: Collection[tuple[tuple[str, ...], float]]
    rendered: Collection[str] = ()


def as_text(name: str) -> str:
    """Given a name as the system's calls return it, return it for a label; bytes that are no text are replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def format_value(value: float) -> str:
    """Given a value, return it as the format spells it; whole numbers stay exact, and one beyond any float is infinite.

    Prometheus refuses the whole page for a number that it cannot hold.
    """
    if -_LARGEST <= value <= _LARGEST:
        return repr(value)
    return "+Inf" if value > 0 else "-Inf" if value < 0 else "NaN"


def encode(families: Iterable[Family]) -> bytes:
    """Given families, return the page as text 0.0.4; a family without samples is left out."""
    return _page(_present(families), lambda metric: metric.header)


def encode_open(families: Iterable[Family]) -> bytes:
    """Given families, return the page as OpenMetrics 1.0; a family without samples is left out."""
    present = _present(families)
    names = {family.metric.name for family in present}
    return _page(present, lambda metric: metric.open_header(names)) + b"# EOF\n"


def _present(families: Iterable[Family]) -> list[Family]:
    """Return the families that have samples; those of one name stand together, for a page may name each only once."""
    present = [family for family in families if family.samples or family.rendered]
    names = list(map(_sample_names, present))
    if len(set().union(*names)) == sum(map(len, names)):
        return present
    return _without_duplicates(present, Counter(chain.from_iterable(names)))


def _without_duplicates(families: list[Family], owners: Counter[str]) -> list[Family]:
    """Given how many families have samples of each name, tell every series once: a file may have a collector's."""
    # a counter keeps the order in which it first met its keys
    first = {name: place for place, name in enumerate(owners)}
    seen: set[Series] = set()
    found = []
    for family in sorted(families, key=lambda family: first[family.metric.name]):
        if any(owners[name] > 1 for name in family.metric.sample_names):
            lines = _page([family], lambda _: "").decode().split("\n")
            family = Family(family.metric, (), [f"{line}\n" for line in keep_first(lines[:-1], seen)])
        found.append(family)
    return [family for family in found if family.samples or family.rendered]


def _page(families: list[Family], header: Callable[[Metric], str]) -> bytes:
    lines: list[str] = []
    before = ""
    for family in families:
        metric = family.metric
        if metric.name != before:
            before = metric.name
            lines.append(header(metric))
        prefixes = metric.prefixes
        for labels, value in family.samples:
            # neither NaN nor an infinite number lies between, and only these are spelled unlike Python's
            text = repr(value + 0) if -_LARGEST <= value <= _LARGEST else format_value(value)
            lines.append(f"{prefixes[labels]}{text}\n")
        lines += family.rendered
    # a lone surrogate cannot be sent; what the host calls itself must never break the page
    return "".join(lines).encode("utf-8", "replace")
