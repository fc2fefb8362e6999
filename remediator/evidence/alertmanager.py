"""Alertmanager's HTTP API as values: which alerts are active for us, which are silenced or inhibited."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.evidence.silences import Silence, read_silence
from remediator.judge import same_alert_key
from remediator.judge.parse import is_label_name
from remediator.judge.printer import quote
from remediator.model import Alert
from selfheal.common.clock import Clock, from_rfc3339

_LONGEST_VALUE = 256
_MOST_FILTERS = 12
LEFT_ALONE = 15.0
"""Seconds for which an Alertmanager that gave no answer is not asked, as long as another one answers."""

_Parameters = Sequence[tuple[str, str]]
_ALERTS = "/api/v2/alerts"
_EVERY = (("active", "true"), ("unprocessed", "true"), ("silenced", "true"), ("inhibited", "true"))
_SUPPRESSED = (("active", "false"), ("unprocessed", "false"), ("silenced", "true"), ("inhibited", "true"))
_ACTIVE = (("active", "true"), ("unprocessed", "false"), ("silenced", "false"), ("inhibited", "false"))


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What keeps an alert from being told: ids of silences, fingerprints of inhibiting alerts."""

    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()

    def __or__(self, other: Suppressed) -> Suppressed:
        """Return what both know of."""
        return Suppressed(
            tuple(dict.fromkeys(self.silenced_by + other.silenced_by)),
            tuple(dict.fromkeys(self.inhibited_by + other.inhibited_by)),
        )


@dataclass(frozen=True, slots=True)
class States:
    """What Alertmanager said of several alerts."""

    found: Mapping[int | str, Suppressed]
    ignored: frozenset[str] = frozenset()
    """Labels by which two replicas of one Prometheus tell their alerts apart: they are one alert to us."""

    def of(self, labels: Mapping[str, str], fingerprint: str) -> Suppressed | None:
        """Return what suppresses the alert, or None without an entry.

        It is known by its labels, since a delivery's fingerprint is whatever its sender wrote, and by that too.
        """
        known = [self.found[key] for key in (_number(labels, self.ignored), fingerprint) if key in self.found]
        return None if not known else reduce(or_, known)


class Alertmanagers:
    """Several Alertmanagers of one cluster. Methods raise SourceUnavailable if none of them answers.

    Alerts are suppressed if any member says so: one that has just started, or is cut off, does not know everything. One
    that does not answer is left alone for a while, so that it delays nobody.
    """

    def __init__(self, clients: Sequence[Client], clock: Clock, ignored: Iterable[str] = ()) -> None:
        self._clients = tuple(clients)
        self._clock = clock
        self._ignored = frozenset(ignored)
        self._failed_at: dict[Client, float] = {}

    def suppressed_one(self, labels: Mapping[str, str]) -> States:
        """Given an alert, return what is known of it and its like now; without an entry nobody has it."""
        filters = [
            f"{name}={quote(value)}"
            for name, value in sorted(labels.items())
            # a label that could be read differently there only makes the answer longer by being left out
            if name not in self._ignored
            and is_label_name(name)
            and value.isprintable()
            and len(value) <= _LONGEST_VALUE
        ]
        return self._states(_EVERY, filters[:_MOST_FILTERS])

    def suppressed_all(self, alertname: str) -> States:
        """Given an alert's name, return what suppresses which of that name; what nothing suppresses has no entry."""
        return self._states(_SUPPRESSED, [f"alertname={quote(alertname)}"] if alertname.isprintable() else [])

    def silences(self) -> tuple[Silence, ...]:
        """Return the silences in force."""
        bodies = self._bodies("/api/v2/silences", [])
        found = (read_silence(value) for body in bodies for value in _one_by_one(body))
        return tuple({silence.id: silence for silence in found if silence is not None}.values())

    def active(self, receiver: str) -> list[Alert]:
        """Return the alerts that are active for `receiver`, neither silenced nor inhibited.

        What is not formed like an alert is left out: the delivery of such a one gets its own fate.
        """
        texts: dict[str, str] = {}
        parameters = [("receiver", f"^(?:{receiver})$"), *_ACTIVE]
        bodies = self._bodies(_ALERTS, parameters)
        found = (_alert(value, texts) for body in bodies for value in _one_by_one(body))
        return list({alert.fingerprint: alert for alert in found if alert is not None}.values())

    def _states(self, wanted: _Parameters, filters: list[str]) -> States:
        found: dict[int | str, Suppressed] = {}
        for body in self._bodies(_ALERTS, [*wanted, *(("filter", text) for text in filters)]):
            for value in _one_by_one(body):
                status, labels = value.get("status"), value.get("labels")
                if isinstance(status, dict) and isinstance(labels, dict):
                    silences = tuple(str(name) for name in status.get("silencedBy") or ())
                    inhibitors = tuple(str(name) for name in status.get("inhibitedBy") or ())
                    for key in (_number(labels, self._ignored), str(value.get("fingerprint"))):
                        found[key] = found.get(key, Suppressed()) | Suppressed(silences, inhibitors)
        return States(found, self._ignored)

    def _bodies(self, path: str, parameters: _Parameters) -> Iterator[str]:
        """Yield the answer of each member that gives one. Raise SourceUnavailable if none does."""
        failure: SourceUnavailable | None = None
        answered = False
        for client in self._in_order():
            if answered and self._left_alone(client):
                continue
            try:
                body = self._ask(client, path, parameters)
            except SourceUnavailable as error:
                failure = error
                self._failed_at[client] = self._clock.monotonic()
                continue
            self._failed_at.pop(client, None)
            answered = True
            yield body
        if failure is not None and not answered:
            raise failure

    def _in_order(self) -> list[Client]:
        return sorted(self._clients, key=self._left_alone)

    def _left_alone(self, client: Client) -> bool:
        failed_at = self._failed_at.get(client)
        return failed_at is not None and self._clock.monotonic() - failed_at < LEFT_ALONE

    def _ask(self, client: Client, path: str, parameters: _Parameters) -> str:
        body = client.get(path, list(parameters)).decode("utf-8", "replace")
        if not body.lstrip().startswith("["):
            raise client.unavailable("the answer is not Alertmanager's")
        return body


def _number(labels: Mapping[str, Any], ignored: frozenset[str]) -> int:
    """Return a number that only the same labels have, those to be ignored aside."""
    return same_alert_key(((name, str(value)) for name, value in labels.items()), ignored)


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
