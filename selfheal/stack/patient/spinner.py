"""A worker that spins at 100 % of one CPU when told to, until it is ended or its time is over."""

from __future__ import annotations

import signal
import time

from selfheal.stack.patient import CEILING_SECONDS

name = "spinner"


def live(port: int) -> None:  # noqa: ARG001  (every worker gets the port; one uses it)
    """Wait for SIGUSR1 and spin for at most `CEILING_SECONDS`. Never returns."""
    while True:
        signal.sigwait({signal.SIGUSR1})
        until = time.monotonic() + CEILING_SECONDS
        while time.monotonic() < until:
            pass
