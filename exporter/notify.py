"""Tells the service manager how we are, as sd_notify(3) does: one datagram for each piece of news."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from logging import getLogger

from selfheal.common.clock import Clock

logger = getLogger(__name__)


class Notifier:
    """The way to the service manager, if there is one: without NOTIFY_SOCKET everything here does nothing."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._clock = clock
        address = environment.get("NOTIFY_SOCKET", "")
        # an at sign stands for the abstract namespace
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.every = _interval(environment) if address else None
        """Seconds between two signs of life; None if nobody waits for them."""
        self._last = clock.monotonic()

    def ready(self) -> None:
        """Say that requests are answered."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is read again; `ready` ends it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={round(self._clock.monotonic() * 1e6)}")

    def stopping(self) -> None:
        """Say that we are about to end."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Give a sign of life if it is time for one."""
        if self.every is not None and self._clock.monotonic() - self._last >= self.every * 0.9:
            self._last = self._clock.monotonic()
            self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                # a manager that does not listen must not hold us up
                sock.settimeout(1.0)
                sock.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            logger.warning("service manager not reached", extra={"news": lines[0], "reason": str(error)})


def _interval(environment: Mapping[str, str]) -> float | None:
    """Return half of the time after which systemd would end us: so a sign may come late by as much again."""
    limit = environment.get("WATCHDOG_USEC", "")
    if not limit.isdecimal() or environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(limit) / 1e6 / 2 or None
