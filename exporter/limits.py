"""How much at once: requests in a time, as a bucket of tokens that fills again, and scrapes at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.messages import Response

_IN_FLIGHT = Metric("promhttp_metric_handler_requests_in_flight", "gauge", "Scrapes that are being answered now.")
_ANSWERED = Metric("promhttp_metric_handler_requests_total", "counter", "Scrapes answered, by status code.", ("code",))
_ERRORS = Metric(
    "promhttp_metric_handler_errors_total",
    "counter",
    "Scrapes that failed as a whole, by what failed; a collector that fails is no such error here.",
    ("cause",),
)


class Bucket:
    """Tokens that come back one per `interval` seconds, `burst` of them at most. Not for several threads at once."""

    def __init__(self, interval: float, burst: int, now: float) -> None:
        self._interval = interval
        self._burst = burst
        self._tokens = float(burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Given the monotonic time, take a token; say whether there was one."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) / self._interval)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Scrapes:
    """Counts the scrapes under way, under the names that client_golang gives to them, and refuses those beyond."""

    def __init__(self, most: int = 0) -> None:
        """Take how many may be under way at once; 0 means any number."""
        self._most = most
        self._lock = threading.Lock()
        self._under_way = 0
        self._answered = {200: 0, 500: 0, 503: 0}

    def run(self, answer: Callable[[], Response]) -> Response:
        """Return what `answer` returns, or 503 if too many are under way."""
        with self._lock:
            if self._most and self._under_way >= self._most:
                self._answered[503] += 1
                return Response(503, f"503: more than {self._most} scrapes at once; try again later\n".encode())
            self._under_way += 1
        status = 500
        try:
            response = answer()
            status = response.status
            return response
        finally:
            with self._lock:
                self._under_way -= 1
                self._answered[status] = self._answered.get(status, 0) + 1

    def families(self) -> list[Family]:
        """Return what is known about the scrapes."""
        with self._lock:
            return [
                _ERRORS.of({("encoding",): 0, ("gathering",): self._answered[500]}),
                _IN_FLIGHT.only(self._under_way),
                _ANSWERED.of({(str(code),): count for code, count in self._answered.items()}),
            ]
