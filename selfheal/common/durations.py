"""Durations as Prometheus writes them (`30s`, `5m`, `1h30m`): text to seconds and back."""

from __future__ import annotations

import re

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_FORM = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")


def parse_duration(text: str) -> float:
    """Given a Prometheus duration, return seconds. Raise ValueError, saying what a duration looks like."""
    found = _FORM.fullmatch(text.strip())
    if text.strip() == "0":
        return 0.0
    if not text.strip() or found is None:
        raise ValueError(f"{text!r} is not a duration; write for example 30s, 5m, 1h30m or 2d")
    try:
        return sum(int(count) * _UNITS[unit] for unit, count in zip(_UNITS, found.groups(), strict=True) if count)
    except OverflowError as error:
        raise ValueError("a duration longer than any clock can tell; write a shorter one") from error


def format_duration(seconds: float) -> str:
    """Given seconds, not negative, return the shortest Prometheus duration, exact to the millisecond."""
    left = round(seconds * 1000)
    if left == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, round(_UNITS[unit] * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
