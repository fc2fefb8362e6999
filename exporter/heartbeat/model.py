"""A sign of life that is expected, and one that came; values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

LARGEST_CODE = 255


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A program that reports by itself: how often, how late it may be, and the file it touches (None: it calls)."""

    name: str
    interval: float
    grace: float = 0.0
    file: str | None = None


class Beat(NamedTuple):
    """One sign of life: when it came, in seconds since the epoch, and whether all went well."""

    at: float
    ok: bool


def parse_result(text: str) -> bool:
    """Given `ok`, `failed`, a program's exit code or nothing, say whether all went well. Raise ValueError otherwise."""
    word = text.strip()
    if word in ("", "ok", "failed"):
        return word != "failed"
    if word.isascii() and word.isdigit() and int(word) <= LARGEST_CODE:
        return int(word) == 0
    raise ValueError(f"{word[:32]!r} is no result; write ok, failed, or an exit code from 0 to {LARGEST_CODE}")
