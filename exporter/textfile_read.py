"""Reads files in Prometheus text format 0.0.4 as strictly as Prometheus's own parser does.

prometheus_client parses the samples. What it lets pass, and what the comments say, is judged here. Imported only when a
folder with such files is configured.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

_COMMENT = re.compile(r"#[ \t]*(HELP|TYPE)[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]+(.*))?")
_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:[ \t]*\{(?P<labels>.*)\}[ \t]*|[ \t]+)"
    r"(?P<value>[0-9a-zA-Z+.\-]+)(?P<time>[ \t]+[0-9+\-]+)?"
)
_LABELS = re.compile(r'(?:[ \t]*+[a-zA-Z_][a-zA-Z0-9_]*+[ \t]*+=[ \t]*+"(?:[^"\\]|\\[\\n"])*+"[ \t]*+(?:,|$))*+[ \t]*+')
_LONGEST_COMPLAINT = 300
_ESCAPE = re.compile(r"\\(.?)")
_ESCAPES = {"\\": "\\", "n": "\n"}
_KINDS = frozenset(("counter", "gauge", "histogram", "summary", "untyped"))
# kind → the ends that the names of its samples may have beside the family's own
_ENDS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
_BOUNDS = {"histogram": "le", "summary": "quantile"}


class TextSample(NamedTuple):
    """One sample: which part of its family it is (`_bucket`, `_sum`, `_count` or all), and its bound or quantile."""

    part: str
    labels: dict[str, str]
    bound: float | None
    value: float


@dataclass(slots=True)
class TextFamily:
    """One family of one file: what the file says about it, and its samples in order."""

    name: str
    kind: str | None = None
    help: str | None = None
    samples: list[TextSample] = field(default_factory=list)

    def add(self, name: str, labels: dict[str, str], value: float) -> None:
        """Take a sample of this family. Raise ValueError if its bound or quantile is no number."""
        own = _BOUNDS.get(self.kind or "")
        bound = float(labels.pop(own)) if own in labels else None
        self.samples.append(TextSample(name.removeprefix(self.name), labels, bound, value))


def parse_text(data: bytes) -> list[TextFamily]:
    """Given a file's bytes, return its families with samples. Raise ValueError if any line is wrong or has a time."""
    text = data.decode("utf-8")
    if text and not text.endswith("\n"):
        raise ValueError("the last line does not end: the file is not written whole")
    families: dict[str, TextFamily] = {}
    for number, line in enumerate(text.split("\n"), 1):
        try:
            _read_line(line.lstrip(" \t"), families)
        except (ValueError, IndexError) as error:
            # a line may be as long as the file
            raise ValueError(f"line {number}: {str(error)[:_LONGEST_COMPLAINT]}") from error
    return [family for family in families.values() if family.samples]


def _read_line(line: str, families: dict[str, TextFamily]) -> None:
    if line.startswith("#"):
        _read_comment(line, families)
    elif line:
        name, labels, value = _read_sample(line)
        family = _family_of(name, families)
        family.add(name, labels, value)


def _read_comment(line: str, families: dict[str, TextFamily]) -> None:
    found = _COMMENT.fullmatch(line)
    if found is None:
        if re.match(r"#[ \t]*(HELP|TYPE)[ \t]+[^ \t]", line):
            raise ValueError(f"no name of a metric: {line!r}")
        return
    word, name, rest = found.groups()
    family = _family_of(name, families)
    if word == "HELP" and rest is not None:
        if family.help is not None:
            raise ValueError(f"a second HELP of {name}")
        family.help = _ESCAPE.sub(_unescaped, rest)
    elif word == "TYPE" and rest is not None:
        if family.kind is not None or family.samples:
            raise ValueError(f"a second TYPE of {name}, or one after its samples")
        if rest.lower() not in _KINDS:
            raise ValueError(f"no type of a metric: {rest!r}")
        family.kind = rest.lower()


def _read_sample(line: str) -> tuple[str, dict[str, str], float]:
    found = _SAMPLE.fullmatch(line)
    if found is None:
        raise ValueError(f"not a sample: {line!r}")
    if found["time"]:
        raise ValueError(f"a time of its own, which cannot be kept: {line!r}")
    if not _LABELS.fullmatch(found["labels"] or ""):
        raise ValueError(f"not labels: {line!r}")
    ((sample,),) = (metric.samples for metric in text_string_to_metric_families(f"{line}\n"))
    if math.isinf(sample.value) and "inf" not in found["value"].lower():
        raise ValueError(f"too large a number: {line!r}")
    return sample.name, sample.labels, sample.value


def _unescaped(found: re.Match[str]) -> str:
    if found[1] not in _ESCAPES:
        raise ValueError(f"an unknown escape: {found[0]!r}")
    return _ESCAPES[found[1]]


def _family_of(name: str, families: dict[str, TextFamily]) -> TextFamily:
    known = families.get(name)
    if known is not None:
        return known
    for kind, ends in _ENDS.items():
        for end in ends:
            whole = families.get(name.removesuffix(end)) if name.endswith(end) else None
            if whole is not None and whole.kind == kind:
                return whole
    return families.setdefault(name, TextFamily(name))
