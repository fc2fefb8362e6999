"""Reads queries.sql once: `-- name: x` begins a query called x."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """Given the text of a query file, return its queries by name. Raise ValueError if a name comes twice."""
    parts = _NAME.split(text)
    found: dict[str, str] = {}
    for name, query in zip(parts[1::2], parts[2::2], strict=True):
        if name in found:
            raise ValueError(f"query {name} is written twice")
        found[name] = query.strip().rstrip(";")
    return found


@cache
def queries() -> dict[str, str]:
    """Return every named query of the store."""
    return parse((Path(__file__).parent / "queries.sql").read_text(encoding="utf-8"))
