"""Several Alertmanagers: one that is cut off, one that is away, one that does not have the alert."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import free_port
from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.evidence.alertmanager import LEFT_ALONE, Alertmanagers, Suppressed
from remediator.evidence.silences import read_silence
from selfheal.common.clock import ManualClock
from tests.judge.clinic import alerting, silence
from tests.stack.support import wait_until

CONFIG = """
route: {receiver: selfheal}
receivers: [{name: selfheal}]
inhibit_rules:
  - {source_matchers: [alertname = Root], target_matchers: [alertname = Leaf], equal: [instance]}
"""
LABELS = {"alertname": "Sick", "instance": "a:1", "zone": 'a "b" \\ {{ $x }}\nline 환자'}

pytestmark = pytest.mark.timeout(120)


@dataclass
class Pair:
    """Two Alertmanagers that do not know of each other, and what notes which of them is asked."""

    urls: list[str]
    asked: list[str]
    clock: ManualClock

    def both(self, *urls: str) -> Alertmanagers:
        clients = [Noting(url, self.asked) for url in urls or self.urls]
        return Alertmanagers(clients, self.clock, ("replica",))

    def tell(self, which: int, labels: Mapping[str, str]) -> None:
        """Give one of them an alert and wait until it has it."""
        url = f"{self.urls[which]}/api/v2/alerts"
        body = json.dumps([{"labels": dict(labels), "startsAt": "2020-01-01T00:00:00Z"}]).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=5):
            pass
        alone = self.both(self.urls[which])
        wait_until(lambda: alone.suppressed_one(labels).of(labels, "") is not None, 10)
        self.asked.clear()


class Noting(Client):
    """A client that notes its address whenever it is asked."""

    def __init__(self, url: str, asked: list[str]) -> None:
        super().__init__(url, source="alertmanager", timeout=2)
        self._asked = asked

    def get(self, path: str, parameters: Any = None) -> bytes:
        self._asked.append(self.base_url)
        return super().get(path, parameters)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        urls = [stack.enter_context(alerting(tmp_path / name, CONFIG)) for name in ("one", "two")]
        yield Pair(urls, [], ManualClock())


@pytest.mark.parametrize("knows", [0, 1])
def test_what_one_of_them_silences_is_silenced(pair: Pair, knows: int) -> None:
    pair.tell(0, LABELS)
    pair.tell(1, LABELS)
    made = silence(pair.urls[knows], LABELS)
    there = pair.both()

    wait_until(lambda: there.suppressed_one(LABELS).of(LABELS, "") == Suppressed((made,)), 10)
    assert there.suppressed_all("Sick").of(LABELS, "") == Suppressed((made,))
    assert there.suppressed_all("Else").of(LABELS, "") is None
    assert [alert.labels for alert in there.active("selfheal")] == [LABELS]


def test_an_inhibition_that_only_one_of_them_knows_counts(pair: Pair) -> None:
    leaf = LABELS | {"alertname": "Leaf"}
    pair.tell(0, leaf)
    pair.tell(1, leaf)
    pair.tell(1, LABELS | {"alertname": "Root"})
    there = pair.both()

    wait_until(lambda: bool((there.suppressed_one(leaf).of(leaf, "") or Suppressed()).inhibited_by), 10)


def test_a_forged_fingerprint_hides_no_silence(pair: Pair) -> None:
    pair.tell(0, LABELS)
    made = silence(pair.urls[0], LABELS)
    there = pair.both()
    wait_until(lambda: there.suppressed_one(LABELS).of(LABELS, "forged") == Suppressed((made,)), 10)

    (listed,) = json.load(urllib.request.urlopen(f"{pair.urls[0]}/api/v2/alerts", timeout=5))
    relayed = {"alertname": "Sick"}
    assert there.suppressed_one(relayed).of(relayed, listed["fingerprint"]) == Suppressed((made,))


def test_without_the_alert_its_silences_are_still_found(pair: Pair) -> None:
    made = silence(pair.urls[1], LABELS)
    regex = {"name": "instance", "value": "a:.+", "isRegex": True, "isEqual": True}
    wide = silence(pair.urls[0], {"alertname": "Sick"}, regex)
    other = silence(pair.urls[0], {}, {**regex, "value": "b:.+"})
    there = pair.both()

    assert there.suppressed_one(LABELS).of(LABELS, "") is None
    found = {item.id: item.covers(LABELS) for item in there.silences()}
    assert found == {made: True, wide: True, other: False}


def test_one_that_is_away_is_left_alone_for_a_while_and_then_asked_again(pair: Pair) -> None:
    pair.tell(0, LABELS)
    away = f"http://127.0.0.1:{free_port()}"
    there = pair.both(away, pair.urls[0])

    for _ in range(3):
        assert there.suppressed_one(LABELS).of(LABELS, "") == Suppressed()
    assert pair.asked == [away, *[pair.urls[0]] * 3]
    pair.clock.advance(LEFT_ALONE)
    there.suppressed_one(LABELS)
    assert pair.asked[4:] == [away, pair.urls[0]]


def test_when_nobody_answers_that_is_said_every_time(pair: Pair) -> None:
    there = pair.both(*(f"http://127.0.0.1:{free_port()}" for _ in range(2)))

    for _ in range(2):
        with pytest.raises(SourceUnavailable, match="cannot connect"):
            there.suppressed_one(LABELS)
    assert len(pair.asked) == 4


def test_without_any_configured_nothing_is_suppressed() -> None:
    nobody = Alertmanagers([], ManualClock())

    assert nobody.suppressed_one(LABELS).of(LABELS, "") is None
    assert (nobody.silences(), nobody.active("selfheal")) == ((), [])


@pytest.mark.parametrize(
    ("matcher", "covers"),
    [
        ({"name": "instance", "value": "a:1"}, True),
        ({"name": "instance", "value": "a"}, False),
        ({"name": "instance", "value": "a", "isRegex": True}, False),
        ({"name": "instance", "value": "a.*|b", "isRegex": True, "isEqual": True}, True),
        ({"name": "instance", "value": "a:1", "isEqual": False}, False),
        ({"name": "instance", "value": "b.*", "isRegex": True, "isEqual": False}, True),
        ({"name": "absent", "value": ""}, True),
        ({"name": "absent", "value": ".+", "isRegex": True}, False),
        # what only Go can read is taken for met
        ({"name": "instance", "value": r"\pL+:1", "isRegex": True}, True),
        ({"name": "instance", "value": r"\pL+:1", "isRegex": True, "isEqual": False}, True),
    ],
)
def test_a_silence_covers_what_meets_its_matchers(matcher: dict[str, Any], covers: bool) -> None:
    found = read_silence({"id": "s", "status": {"state": "active"}, "matchers": [matcher]})

    assert found is not None
    assert found.covers(LABELS) is covers


@pytest.mark.parametrize("state", ["expired", "pending", None])
def test_a_silence_that_is_not_in_force_is_none(state: str | None) -> None:
    assert read_silence({"id": "s", "status": {"state": state}, "matchers": []}) is None


def test_what_one_replica_told_is_known_of_the_other_replicas_alert(pair: Pair) -> None:
    pair.tell(0, LABELS | {"replica": "one"})
    pair.tell(0, {"alertname": "Root", "instance": "a:1", "replica": "one"})
    pair.tell(0, {"alertname": "Leaf", "instance": "a:1", "replica": "one"})
    made = silence(pair.urls[0], LABELS)

    def found(**labels: str) -> Suppressed | None:
        wanted = LABELS | labels
        return pair.both(pair.urls[0]).suppressed_one(wanted).of(wanted, "")

    wait_until(lambda: found(replica="one") == Suppressed((made,)), 10)
    assert found(replica="two") == Suppressed((made,))
    assert found(replica="two", zone="elsewhere") is None
    leaf = found(alertname="Leaf", replica="two", zone="")
    assert leaf is not None
    assert leaf.inhibited_by
    all_of_it = pair.both(pair.urls[0]).suppressed_all("Sick").of(LABELS | {"replica": "two"}, "")
    assert all_of_it == Suppressed((made,))
