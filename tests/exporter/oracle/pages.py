"""Pages in the text format as values: what an exporter told, whoever it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Series = tuple[str, tuple[tuple[str, str], ...]]

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')
_ESCAPED = re.compile(r"\\(.)")
_PARTS = re.compile(r"_(?:bucket|sum|count)$")


@dataclass(slots=True)
class Family:
    """One family of a page: its type, its help, and the value of each series."""

    name: str
    kind: str = "untyped"
    help: str = ""
    samples: dict[Series, float] = field(default_factory=dict)


Page = dict[str, Family]


def parse(text: str) -> Page:
    """Given a page, return its families by name. Raise ValueError for a line that is none, or a series told twice."""
    page: Page = {}
    for line in text.splitlines():
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3) if line.count(" ") > 2 else (*line.split(" ", 2), "")
            family = page.setdefault(name, Family(name))
            if word == "TYPE":
                family.kind = rest
            else:
                family.help = rest
        elif line:
            series, value = _sample(line)
            family = _family_of(series[0], page)
            if series in family.samples:
                raise ValueError(f"told twice: {spell(series)}")
            family.samples[series] = value
    return page


def spell(series: Series) -> str:
    """Given a series, return it as people write it."""
    name, labels = series
    inside = ",".join(f'{label}="{value}"' for label, value in labels)
    return f"{name}{{{inside}}}" if inside else name


def label_names(family: Family) -> frozenset[str]:
    """Return every label that a family's series have."""
    return frozenset(label for _, labels in family.samples for label, _ in labels)


def only(page: Mapping[str, Family], names: Iterable[str]) -> Page:
    """Return the families of those names that the page has."""
    return {name: page[name] for name in names if name in page}


def value(page: Mapping[str, Family], name: str, **labels: str) -> float:
    """Return the value of one series. Raise KeyError if it is not there."""
    return page[name].samples[name, tuple(sorted(labels.items()))]


def _sample(line: str) -> tuple[Series, float]:
    match = _SAMPLE.match(line)
    if match is None:
        raise ValueError(f"not a sample: {line!r}")
    name, inside, number = match.groups()
    labels = tuple(sorted((label, _ESCAPED.sub(_unescape, text)) for label, text in _LABEL.findall(inside or "")))
    return (name, labels), float(number)


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


def _family_of(name: str, page: Page) -> Family:
    if name not in page:
        shortened = _PARTS.sub("", name)
        if shortened in page and page[shortened].kind in ("histogram", "summary"):
            return page[shortened]
    return page.setdefault(name, Family(name))
