"""The only reader of the time: everybody else takes `now` as an argument or holds a Clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Wall time for what is stored and compared between processes, monotonic time for what is waited."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        ...

    @property
    def boot(self) -> str:
        """What the monotonic clock's seconds are comparable within, also between processes; empty: not at all."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    @property
    def boot(self) -> str:
        """The kernel's name of this boot; empty where it has none."""
        return _boot()


class ManualClock:
    """A clock that moves only when told: for tests and replay."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
        """Return seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return self._monotonic

    @property
    def boot(self) -> str:
        """Always the same boot: whoever wants another makes another clock."""
        return f"manual {id(self)}"

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds`."""
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Move only the wall clock, forward or back, as a clock correction does."""
        self._now += seconds


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def to_rfc3339(seconds: float) -> str:
    """Given seconds since the epoch, return RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def from_rfc3339(text: str) -> float:
    """Given an RFC 3339 time, return seconds since the epoch. Raise ValueError if it has no time zone or is no time."""
    whole, dot, rest = text.strip().partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        if digits == 0:
            raise ValueError(f"not an RFC 3339 time: {text!r}")
        # Prometheus and Go print up to nine digits; Python reads six
        text = f"{whole}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        raise ValueError(f"time without a zone: {text!r}")
    return moment.timestamp()
