"""Metrics as Prometheus text format 0.0.4: names and labels are rendered once, afterwards only values are.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format. Nothing here reads the host.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind: TypeAlias = Literal["counter", "gauge", "untyped"]

L = TypeVar("L", bound=tuple[str, ...])

# label values come from the host and may change for ever; a cache that has grown past this starts anew
_MOST_PREFIXES = 20_000

# NUL is replaced: Prometheus takes it for the end of the page
_IN_LABELS = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\0": "\ufffd"})
_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n", "\0": "\ufffd"})


class Metric:
    """One metric family: what never changes about it, and the rendered `name{labels} ` of every series it has had."""

    __slots__ = ("_prefixes", "header", "kind", "labels", "name")

    def __init__(self, name: str, kind: Kind, text: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.kind = kind
        self.labels = labels
        self.header = f"# HELP {name} {text.translate(_IN_HELP)}\n# TYPE {name} {kind}\n"
        self._prefixes: dict[tuple[str, ...], str] = {}

    def prefix(self, values: tuple[str, ...]) -> str:
        """Given the label values in order, return the line up to its value."""
        known = self._prefixes.get(values)
        if known is not None:
            return known
        pairs = zip(self.labels, values, strict=True)
        inside = ",".join(f'{label}="{value.translate(_IN_LABELS)}"' for label, value in pairs)
        if len(self._prefixes) >= _MOST_PREFIXES:
            self._prefixes.clear()
        prefix = self._prefixes[values] = f"{self.name}{{{inside}}} " if inside else f"{self.name} "
        return prefix

    def of(self, samples: Mapping[L, float]) -> Family:
        """Given one value per label values, return the family to be exported."""
        return Family(self, samples.items())

    def only(self, value: float) -> Family:
        """Given the value of a metric without labels, return the family to be exported."""
        return Family(self, [((), value)])


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its present samples, each label values and a value; whole numbers stay `int`."""

    metric: Metric
    samples: Collection[tuple[tuple[str, ...], float]]


def format_value(value: float) -> str:
    """Given a value, return it as the format spells it; whole numbers of any size stay exact."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    return repr(value)


def encode(families: Iterable[Family]) -> bytes:
    """Given families, return the page; a family without samples is left out."""
    lines: list[str] = []
    for family in families:
        if family.samples:
            prefix = family.metric.prefix
            lines.append(family.metric.header)
            lines += [f"{prefix(labels)}{format_value(value)}\n" for labels, value in family.samples]
    # a lone surrogate cannot be sent; what the host calls itself must never break the page
    return "".join(lines).encode("utf-8", "replace")
