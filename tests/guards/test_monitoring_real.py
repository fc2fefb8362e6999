"""What a real Prometheus tells of itself, and that nothing is done while it cannot be trusted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import ledger
from benchmarks.rig import Rig, running, until
from benchmarks.storm import alert
from remediator.client import Client
from remediator.evidence import Scraping
from remediator.evidence.prometheus import Prometheus
from selfheal.common.clock import SystemClock
from tests.tools import tool

RULES = """groups:
  - name: cases
    rules:
      - alert: Sick
        expr: sick > 0
        labels: {severity: warning}
"""
PLAYBOOK = """playbook: heal
trigger: {alert: Sick}
mode: auto
target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}
limits: {cooldown: 0s, rate: [1000/1h], lock: target}
steps: [{action: ledger.append, with: {note: one}}]
verify: none
"""
WAIT = 4.0
CAREFUL = f"monitoring: {{targets: 3, share: 50%, scrape_gap: 1000, after_restart: {WAIT:g}s}}"
AWAY = 5.0
"""Seconds that Prometheus is stopped: more than three of its intervals, fewer than it takes to time a question out."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    for name in ("prometheus", "alertmanager"):
        tool(name)
    folder = tmp_path_factory.mktemp("monitoring") / "r"
    with running(Rig(folder, RULES, playbooks=[PLAYBOOK], limits="limits: {rate: [1000/1h]}", careful=CAREFUL)) as rig:
        # after a reload Prometheus needs five seconds to find its Alertmanager again: alerts are handed over here
        rig.start(deliver=False)
        rig.start_remediator()
        until(lambda: rig.query("count_over_time(up[1m]) > 3"), 30)
        yield rig


@pytest.fixture
def scraping(rig: Rig) -> Scraping:
    client = Client(f"http://127.0.0.1:{rig.prometheus_port}", timeout=10.0)
    return Scraping(Prometheus(client), SystemClock())


def send(rig: Rig, number: int) -> None:
    # the first child of a rig is its Prometheus
    os.kill(rig._children[0].pid, number)


def gap(scraping: Scraping, labels: dict[str, str]) -> float:
    # an answer is a second old at most: each look here is one of its own
    time.sleep(1.05)
    return scraping.gap(labels, 1.0, 3).intervals


def test_a_target_that_is_scraped_has_no_gap_and_one_that_is_down_neither(rig: Rig, scraping: Scraping) -> None:
    own = {"instance": rig.instance, "job": "gauges"}
    rig.gauges.answering = False
    try:
        until(lambda: rig.query("up == 0"), 10)
        down = gap(scraping, own)
    finally:
        rig.gauges.answering = True
    until(lambda: rig.query("up == 1"), 10)

    assert down < 3
    assert gap(scraping, own) < 3
    assert gap(scraping, {"instance": rig.instance}) < 3


def test_what_is_no_scrape_target_has_only_the_gap_of_prometheus(scraping: Scraping) -> None:
    assert gap(scraping, {"instance": "of a push gateway", "job": 'quotes " and \\ too'}) < 3
    assert gap(scraping, {}) < 3


def test_a_prometheus_that_stood_still_has_left_a_gap_until_samples_came_again(rig: Rig, scraping: Scraping) -> None:
    own = {"instance": rig.instance, "job": "gauges"}
    send(rig, signal.SIGSTOP)
    try:
        time.sleep(AWAY)
    finally:
        send(rig, signal.SIGCONT)
    # the hole is seen while fewer than three samples came since, whichever question comes first
    found = gap(scraping, own)

    assert found >= 3
    until(lambda: gap(scraping, own) < 3, 15)


def test_the_time_since_a_reload_begins_anew_and_that_since_the_start_goes_on(rig: Rig) -> None:
    def since() -> Any:
        client = Client(f"http://127.0.0.1:{rig.prometheus_port}", timeout=10.0)
        return Scraping(Prometheus(client), SystemClock()).since()

    until(lambda: since().reloaded > 3, 10)
    before = since()
    send(rig, signal.SIGHUP)
    until(lambda: since().reloaded < before.reloaded, 10)
    after = since()

    # Prometheus tells the reload in whole seconds
    assert -1 <= after.reloaded < before.reloaded
    assert after.started >= before.started


def test_the_instances_that_were_up_are_counted(rig: Rig, scraping: Scraping) -> None:
    assert scraping.up() == 1


def test_an_alert_waits_after_a_reload_and_is_answered_then(rig: Rig) -> None:
    send(rig, signal.SIGHUP)
    begun = time.monotonic()
    rig.gauges.text = 'sick{item="reloaded"} 1\n'
    until(lambda: rig.query('ALERTS{alertname="Sick"}'), 15)

    def newest() -> Any:
        return next(iter(rig.api("/api/v1/remediations")["items"]), None)

    rig.deliver(alert(rig, "reloaded"))
    held = until(newest, 15)
    early = ledger.entries(rig.folder / "ledger")
    until(lambda: newest()["state"] == "succeeded", 20)
    took = time.monotonic() - begun
    events = rig.api(f"/api/v1/remediations/{held['id']}")["events"]
    rig.gauges.text = ""

    assert ("held", "monitoring_broken") in [(event["to"], event["reason"]) for event in events]
    assert took >= WAIT - 1.0
    assert len(ledger.entries(rig.folder / "ledger")) == len(early) + 1
