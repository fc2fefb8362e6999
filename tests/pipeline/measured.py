"""A small server as in `sources`, which also measures: so that a fault of a chosen moment can be proven gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from remediator.model import Alert
from tests.pipeline.sources import INSTANCE, Sources

PLAIN = ("ALERTS", "last_over_time", "count(timestamp", "time()")
"""How questions begin that the small server answers as it is."""


class Measured(Sources):
    """Every alert ever known has a sample at any moment: 1 while it fires, else 0."""

    def answer(self, path: str, form: Mapping[str, str]) -> Any:
        """Return the answer to one question."""
        asked = form.get("query", "")
        if path != "/api/v1/query" or asked.startswith(PLAIN):
            return super().answer(path, form)
        now = self.clock.now()
        if "(up" in asked:
            return self._told([({"instance": INSTANCE}, now)])
        firing = {each.fingerprint for each in self.firing}
        self.known |= {each.fingerprint: each for each in self.firing}
        fitting = [each for each in self.known.values() if _fits(each, asked)]
        if asked.endswith("> 0"):
            fitting = [each for each in fitting if each.fingerprint in firing]

        def value(each: Alert) -> float:
            if asked.startswith("timestamp("):
                return now
            # as many as anybody wants
            return 9.0 if asked.startswith("count_over_time(") else float(each.fingerprint in firing)

        return self._told((each.labels, value(each)) for each in fitting)

    def _told(self, series: Iterable[tuple[Mapping[str, str], float]]) -> Any:
        elements = [
            {
                "metric": {name: text for name, text in labels.items() if name != "alertname"},
                "value": [self.clock.now(), str(value)],
            }
            for labels, value in series
        ]
        return {"status": "success", "data": {"resultType": "vector", "result": elements}}


def _fits(each: Alert, asked: str) -> bool:
    """Say whether a question is about this alert, or about all."""
    return "item=" not in asked or f'item="{each.labels["item"]}"' in asked
