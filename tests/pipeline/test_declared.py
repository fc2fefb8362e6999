"""Alerts whose rule Prometheus does not hold: they run only under what a playbook declares, and are proven by that."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from benchmarks.rig import Rig, hook_headers, until
from tests.pipeline.conftest import Case, Patient

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(90)]

SEOUL = timezone(timedelta(hours=9))
_numbers = itertools.count(1)


class Abroad(Case):
    """A series that no rule of this Prometheus looks at, and the alert that Grafana makes of it."""

    def fire(self, name: str, status: str = "firing", **labels: str) -> None:
        """Deliver as Grafana's contact point does, with PUT."""
        labels = {
            "alertname": name,
            "grafana_folder": "Infra",
            "instance": self.rig.instance,
            "item": self.item,
        } | labels
        body = json.dumps(grafana(status, {key: value for key, value in labels.items() if value})).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.rig.port, timeout=10)
        try:
            connection.request("PUT", "/hooks/alertmanager", body, hook_headers())
            assert connection.getresponse().status == 200
        finally:
            connection.close()

    def measure(self, value: float | None) -> None:
        """Give the series a value, and return when Prometheus has it."""
        self.set(value, "abroad")
        if value is not None:
            until(lambda: self.rig.query(f'abroad{{item="{self.item}"}} == {value}'), 20)


def grafana(status: str, labels: dict[str, str]) -> dict[str, Any]:
    """Return a body as Grafana 11 sends it."""
    alert = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": "too many of them abroad"},
        "startsAt": datetime.now(SEOUL).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://grafana:3000/alerting/grafana/fe8x3a1cq9b0wd/view?orgId=1",
        "fingerprint": f"{abs(hash(tuple(sorted(labels.items())))):016x}"[:16],
        "silenceURL": "http://grafana:3000/alerting/silence/new?alertmanager=grafana&orgId=1",
        "dashboardURL": "",
        "panelURL": "",
        "values": {"A": 3, "C": 1},
        "valueString": "[ var='A' labels={} value=3 ], [ var='C' labels={} value=1 ]",
    }
    return {
        "receiver": "selfheal", "status": status, "orgId": 1, "alerts": [alert], "groupLabels": {},
        "commonLabels": labels, "commonAnnotations": {}, "externalURL": "http://grafana:3000/",
        "appVersion": "11.4.0", "version": "1",
        "groupKey": "{}/{}:{}", "truncatedAlerts": 0, "title": "[FIRING:1] Elsewhere", "state": "alerting",
        "message": "**Firing**",
    }  # fmt: skip


@pytest.fixture
def abroad(rig: Rig, patient: Patient) -> Iterator[Abroad]:
    made = Abroad(rig, patient, f"abroad{next(_numbers)}", "x")
    yield made
    made.set(None, "abroad")


def test_an_alert_from_elsewhere_is_healed_and_proven_by_what_is_declared(abroad: Abroad) -> None:
    abroad.measure(3)
    abroad.fire("Elsewhere")
    abroad.wait_for_effects(1)
    abroad.set(0, "abroad")

    detail = abroad.wait("watching")

    assert (detail["verdict"], detail["reason"]) == ("fixed", "proven")
    after = next(entry["body"] for entry in detail["evidence"] if entry["phase"] == "after")
    assert after["declared"]["value"] == "true"
    assert abroad.wait("succeeded")["reason"] == "held_watch"


def test_what_comes_back_within_the_watch_is_seen_by_the_same_words(abroad: Abroad) -> None:
    abroad.measure(3)
    abroad.fire("Elsewhere")
    abroad.wait_for_effects(1)
    abroad.set(0, "abroad")
    abroad.wait("watching")
    abroad.set(3, "abroad")

    assert abroad.wait("ineffective")["verdict"] == "recurred"


def test_an_effect_after_which_nothing_is_healthy_is_never_called_fixed(abroad: Abroad) -> None:
    abroad.measure(3)
    abroad.fire("Elsewhere")

    detail = abroad.wait("ineffective")

    assert (detail["verdict"], detail["reason"]) == ("unproven", "not_proven")


@pytest.mark.parametrize(
    ("value", "labels", "reason"),
    [
        pytest.param(0.0, {}, "self_resolved", id="when: returns nothing"),
        pytest.param(3.0, {"instance": "elsewhere:9100"}, "not_our_host", id="another host's"),
        pytest.param(3.0, {"instance": ""}, "template_refused", id="no instance at all"),
        pytest.param(3.0, {"case": "other"}, "self_resolved", id="when: returns something of another alert"),
    ],
)
def test_what_is_not_ours_or_not_so_is_left_alone(
    abroad: Abroad, value: float, labels: dict[str, str], reason: str
) -> None:
    abroad.measure(value)
    abroad.fire("Elsewhere", **labels)
    until(lambda: abroad.alerts() and abroad.alerts()[0]["fate"], 20)

    assert (abroad.alerts()[0]["fate"], abroad.alerts()[0]["reason"]) == ("skipped", reason)
    assert abroad.effects() == []


@pytest.mark.parametrize("name", ["HalfDeclared", "Sick"])
def test_without_both_words_its_fate_is_that_they_are_needed(abroad: Abroad, name: str) -> None:
    abroad.measure(3)
    # of a name that a rule here has, but not with these labels
    abroad.fire(name, case="plain", **({"severity": "critical"} if name == "Sick" else {}))
    until(lambda: abroad.alerts() and abroad.alerts()[0]["fate"], 20)

    assert (abroad.alerts()[0]["fate"], abroad.alerts()[0]["reason"]) == ("needs_declared_proof",) * 2
    assert abroad.remediations() == []
