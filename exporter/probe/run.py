"""One probe, from question to verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporter.probe import over_http, over_tcp
from exporter.probe.dial import Dialer
from exporter.probe.model import Ask, Deadline, Dns, Found, Http, Icmp, Probe, ProbeError, Reason
from selfheal.common.clock import Clock


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one probe found, how long it took, and why it failed, if it did."""

    found: Found
    seconds: float
    reason: Reason | None
    text: str = ""


class Prober:
    """Asks one service, again and again, never twice at once."""

    def __init__(self, probe: Probe, clock: Clock) -> None:
        self.probe = probe
        self._clock = clock
        self._dialer = Dialer(probe.prefer, probe.fall_back)
        self._ask: Callable[[Any, Dialer, Found, Deadline], None] = _asker(probe.ask)

    def run(self) -> Verdict:
        """Ask once and return the verdict; it comes within the probe's time limit."""
        found = Found({"dns_lookup_time": 0.0, "ip_protocol": 0, "ip_addr_hash": 0})
        begun = self._clock.monotonic()
        reason, text = None, ""
        try:
            self._ask(self.probe.ask, self._dialer, found, Deadline(self._clock, begun + self.probe.timeout))
        except ProbeError as error:
            reason, text = error.reason, str(error)
        except OSError as error:
            # descriptors have run out, or a connection ended where nobody looks for it
            reason, text = Reason.CONNECT, f"the connection failed: {error.strerror or error}"
        return Verdict(found, self._clock.monotonic() - begun, reason, text)


def _asker(ask: Ask) -> Callable[[Any, Dialer, Found, Deadline], None]:
    """Return who asks this kind of question; those that need a library are imported only when they are wanted."""
    match ask:
        case Http():
            return over_http.ask
        case Dns():
            from exporter.probe import over_dns

            return over_dns.ask
        case Icmp():
            from exporter.probe import over_icmp

            return over_icmp.ask
    return over_tcp.ask
