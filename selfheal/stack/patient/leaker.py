"""A worker that leaks memory when told to, until it is ended, or up to its ceiling."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from selfheal.stack.patient import CEILING_RESIDENT_BYTES, CEILING_SECONDS

name = "leaker"

BYTES_PER_SECOND = 8 * 1024 * 1024
_STEP_SECONDS = 0.25
_STEP = int(BYTES_PER_SECOND * _STEP_SECONDS)


def live(port: int) -> None:  # noqa: ARG001  (every worker gets the port; one uses it)
    """Wait for SIGUSR1 and leak; after `CEILING_SECONDS` give everything back. Never returns."""
    while True:
        signal.sigwait({signal.SIGUSR1})
        _leak(time.monotonic() + CEILING_SECONDS)


def _leak(until: float) -> None:
    hoard: list[bytes] = []
    while time.monotonic() < until:
        if resident_bytes() + _STEP <= CEILING_RESIDENT_BYTES:
            # written, not only reserved: untouched pages are not resident
            hoard.append(b"\xa5" * _STEP)
        time.sleep(_STEP_SECONDS)


def resident_bytes() -> int:
    """Return this process's resident memory, from `/proc/self/statm`."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
