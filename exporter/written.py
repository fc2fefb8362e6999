"""What the configuration files of several collectors have in common; imported only by those who read one."""

from __future__ import annotations

import re
from typing import Any

from selfheal.common.documents import told

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""A name that a person gives a thing, and that becomes a label's value."""


def check_names(value: dict[str, Any]) -> dict[str, Any]:
    """Inside a validator, refuse a mapping with a key that is no name."""
    wrong = [name for name in value if not NAME.fullmatch(name)]
    if wrong:
        told(f"{wrong[0]!r} is no name", "use letters, digits, _, . and -, at most 64")
    return value


def check_time(value: float) -> float:
    """Inside a validator, refuse less than a second."""
    if value < 1:
        told("must be at least 1s", "raise it")
    return value
