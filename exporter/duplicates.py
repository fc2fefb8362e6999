"""Lines of series that a page has already: Prometheus would lose one of them, and which one is not for it to choose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

Series: TypeAlias = tuple[str, frozenset[tuple[str, str]]]

_NAME = re.compile(r"[^{ ]+")
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def keep_first(lines: Iterable[str], seen: set[Series]) -> list[str]:
    """Given rendered lines and the series seen before, return the lines of new ones; those are seen now."""
    kept = []
    for line in lines:
        # an empty label is none, and the order of labels means nothing
        labels = frozenset((label, value) for label, value in _PAIR.findall(line) if value)
        series = (_NAME.findall(line)[0], labels)
        if series not in seen:
            seen.add(series)
            kept.append(line)
    return kept
