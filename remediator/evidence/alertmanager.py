"""Alertmanager's HTTP API as values: which alerts are active for us, which are silenced or inhibited."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.judge.parse import is_label_name
from remediator.judge.printer import quote
from remediator.model import Alert
from selfheal.common.clock import from_rfc3339

_LONGEST_VALUE = 256
_MOST_FILTERS = 12


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What keeps an alert from being told: ids of silences, fingerprints of inhibiting alerts."""

    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()


class Alertmanagers:
    """Several Alertmanagers of one cluster: any that answers will do. Methods raise SourceUnavailable if none does."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = list(clients)

    def suppressed_one(self, labels: Mapping[str, str], fingerprint: str) -> Suppressed:
        """Given an alert, return what suppresses it now."""
        filters = [
            f"{name}={quote(value)}"
            for name, value in sorted(labels.items())
            # a label that could be read differently there only makes the answer longer by being left out
            if is_label_name(name) and value.isprintable() and len(value) <= _LONGEST_VALUE
        ]
        return self._suppressed(filters[:_MOST_FILTERS]).get(fingerprint, Suppressed())

    def suppressed_all(self, alertname: str) -> dict[str, Suppressed]:
        """Given an alert's name, return by fingerprint what suppresses which; no others are asked for."""
        return self._suppressed([f"alertname={quote(alertname)}"] if alertname.isprintable() else [])

    def active(self, receiver: str) -> list[Alert]:
        """Return the alerts that are active for `receiver`, neither silenced nor inhibited.

        What is not formed like an alert is left out: the delivery of such a one gets its own fate.
        """
        wanted = [("receiver", f"^(?:{receiver})$"), ("silenced", "false"), ("inhibited", "false")]
        body = self._get([*wanted, ("active", "true"), ("unprocessed", "false")])
        texts: dict[str, str] = {}
        found = (_alert(value, texts) for value in _one_by_one(body))
        return [alert for alert in found if alert is not None]

    def _suppressed(self, filters: list[str]) -> dict[str, Suppressed]:
        wanted = [("active", "false"), ("unprocessed", "false"), ("silenced", "true"), ("inhibited", "true")]
        found: dict[str, Suppressed] = {}
        for value in _one_by_one(self._get([*wanted, *(("filter", text) for text in filters)])):
            status = value.get("status") or {}
            silences = tuple(str(name) for name in status.get("silencedBy") or ())
            inhibitors = tuple(str(name) for name in status.get("inhibitedBy") or ())
            found[str(value.get("fingerprint"))] = Suppressed(silences, inhibitors)
        return found

    def _get(self, parameters: list[tuple[str, str]]) -> str:
        failures: list[SourceUnavailable] = []
        for client in tuple(self._clients):
            try:
                body = client.get("/api/v2/alerts", parameters).decode("utf-8", "replace")
            except SourceUnavailable as error:
                failures.append(error)
                continue
            if not body.lstrip().startswith("["):
                failures.append(client.unavailable("the answer is not Alertmanager's"))
                continue
            if failures:
                # the one that answers is asked first next time
                self._clients.sort(key=lambda known: known is not client)
            return body
        if failures:
            raise failures[-1]
        return "[]"


def _one_by_one(body: str) -> Iterator[dict[str, Any]]:
    """Given the text of a JSON list, yield its objects one after the other, never holding all of them."""
    decoder = json.JSONDecoder()
    position = body.index("[") + 1
    try:
        while True:
            while position < len(body) and body[position] in ", \t\r\n":
                position += 1
            if body[position] == "]":
                return
            value, position = decoder.raw_decode(body, position)
            if isinstance(value, dict):
                yield value
    except (ValueError, IndexError, RecursionError) as error:
        raise SourceUnavailable("alertmanager", "the answer is no JSON list") from error


def _alert(value: Mapping[str, Any], texts: dict[str, str]) -> Alert | None:
    """Return one alert of the API as a delivery would have told it; equal texts are kept once."""

    def same(pairs: object) -> dict[str, str]:
        if not isinstance(pairs, dict):
            return {}
        return {texts.setdefault(k, k): texts.setdefault(v, v) for k, v in pairs.items() if isinstance(v, str)}

    fingerprint = value.get("fingerprint")
    try:
        starts_at = from_rfc3339(str(value.get("startsAt")))
    except ValueError:
        return None
    if not isinstance(fingerprint, str) or not isinstance(value.get("labels"), dict):
        return None
    url = str(value.get("generatorURL") or "")
    return Alert(
        "firing",
        same(value["labels"]),
        same(value.get("annotations")),
        starts_at,
        fingerprint,
        texts.setdefault(url, url),
    )
