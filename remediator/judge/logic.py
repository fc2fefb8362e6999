"""Three values: what is unknown is neither true nor false, and never healthy."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Truth(StrEnum):
    """Whether a condition holds."""

    TRUE = "true"  # it holds now
    FALSE = "false"  # it is proven not to hold
    UNKNOWN = "unknown"  # neither could be shown


def all_of(values: Iterable[Truth]) -> Truth:
    """Given the parts of an `and`, return false if one is false, true if all are true, otherwise unknown."""
    seen = tuple(values)
    if Truth.FALSE in seen:
        return Truth.FALSE
    return Truth.TRUE if seen and all(value is Truth.TRUE for value in seen) else Truth.UNKNOWN


def any_of(values: Iterable[Truth]) -> Truth:
    """Given the parts of an `or`, return true if one is true, false if all are false, otherwise unknown."""
    seen = tuple(values)
    if Truth.TRUE in seen:
        return Truth.TRUE
    return Truth.FALSE if seen and all(value is Truth.FALSE for value in seen) else Truth.UNKNOWN
