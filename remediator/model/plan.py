"""What an action would do and what it did: the content of an intent and of its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

IN_DOUBT = "in_doubt"
"""Set in the detail of a known failure that may have touched something: it was ended half way."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an action would do: the dry run, and the content of an intent. Without items there is nothing to do."""

    items: tuple[Json, ...]
    """Each names its kind: `process` (pid, start_ticks, group), `file` (path) or `command` (service, verb)."""
    detail: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an action did."""

    ok: bool
    effects: tuple[Json, ...]
    """The plan's items that were really touched."""
    detail: Json = field(default_factory=dict)
    rows: tuple[Json, ...] = ()
    """What the action wants of the centre, committed with the result; each names its kind: `mark` (text)."""
