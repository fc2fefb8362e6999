"""The host's gauges of the moment, asked of Prometheus in one question and kept for a few seconds."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection
from typing import Any

from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.model import Json
from selfheal.common.clock import Clock, to_rfc3339

KEPT = 5.0
"""Seconds."""
FAILURE_KEPT = 1.0
"""Seconds for which a Prometheus that did not answer is not asked again."""
GAUGES = {
    "cpu_used_ratio": "max by (instance) (instance:cpu_used:ratio)",
    "memory_used_ratio": "max by (instance) (instance:memory_used:ratio)",
    "filesystem_used_ratio": "max by (instance) (instance:filesystem_used:ratio)",
    "load1": "max by (instance) (node_load1)",
    "uptime_seconds": "max by (instance) (time() - node_boot_time_seconds)",
    "network_receive_bytes_per_second": (
        'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[2m]))'
    ),
    "network_transmit_bytes_per_second": (
        'sum by (instance) (rate(node_network_transmit_bytes_total{device!="lo"}[2m]))'
    ),
}
"""Name and expression of each; the first ones are recorded by the rules that ride along."""
QUESTION = " or ".join(f'label_replace({expression}, "gauge", "{name}", "", "")' for name, expression in GAUGES.items())


class HostGauges:
    """Asks for the gauges of some instances; many may ask at once, and one question serves them."""

    def __init__(self, client: Client, clock: Clock, instances: Collection[str]) -> None:
        self._client = client
        self._clock = clock
        self._instances = frozenset(instances)
        self._lock = threading.Lock()
        self._answer: Json | None = None
        self._error: SourceUnavailable | None = None
        self._good_until = -math.inf

    def now(self) -> Json:
        """Return {"at", "instances": {instance: {gauge: value}}}. Raise SourceUnavailable."""
        # who comes while it is asked waits for that answer
        with self._lock:
            if self._clock.monotonic() >= self._good_until:
                self._renew()
            if self._error is not None:
                raise self._error
            assert self._answer is not None
            return self._answer

    def _renew(self) -> None:
        try:
            answer = self._client.read_json(self._client.ask("/api/v1/query", {"query": QUESTION}))
            self._answer, self._error = self._read(answer), None
            self._good_until = self._clock.monotonic() + KEPT
        except SourceUnavailable as error:
            self._error = error
            self._good_until = self._clock.monotonic() + FAILURE_KEPT

    def _read(self, answer: Any) -> Json:
        try:
            elements = answer["data"]["result"]
            found = [(each["metric"], float(each["value"][1])) for each in elements]
        except (LookupError, TypeError, ValueError) as error:
            raise self._client.unavailable("the answer holds no vector") from error
        instances: dict[str, dict[str, float]] = {}
        for metric, value in found:
            instance = metric.get("instance", "")
            if instance in self._instances and math.isfinite(value):
                instances.setdefault(instance, {})[metric.get("gauge", "")] = value
        return {"at": to_rfc3339(self._clock.now()), "instances": instances}
