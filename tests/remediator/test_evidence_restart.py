"""Old samples after a restart of Prometheus, and labels named like external ones: neither heals nor accuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediator.evidence import Evidence, FrozenRule, Health
from remediator.model import Json, Live, Verify
from selfheal.common.clock import SystemClock
from tests.judge.clinic import Clinic, Scraped, scraping
from tests.stack.support import wait_until

RULES = """
groups:
  - name: sick
    rules:
      - {record: 'x:recorded', expr: 'x'}
      - {alert: Sick, expr: 'x > 5'}
      - {alert: Recorded, expr: 'x:recorded > on (instance) group_left () (group by (instance) (x:recorded) * 5)'}
      - {alert: Present, expr: 'x'}
      - {alert: Grouped, expr: 'x > on (instance) group_left () (group by (instance) (x) * 5)'}
      - {alert: Summed, expr: 'x > on (instance) group_left () (sum by (instance) (x) / 4)'}
      - {alert: Sifted, expr: 'x > on (instance) group_left () (group by (instance) (x > 1) * 5)'}
"""
HOSTILE = 'a "quote" \\ back\nslash {{ $labels.x }} 환자 \u2028'
TARGETS = {
    "heals": {"zone": HOSTILE},
    "sick": {"zone": HOSTILE},
    "one": {"instance": "same", "site": "a"},
    "two": {"instance": "same", "site": "b"},
    "lives": {"instance": "shared", "zone": "lives"},
    "ended": {"instance": "shared", "zone": "ended"},
}

pytestmark = pytest.mark.timeout(90)


@dataclass
class World:
    """A Prometheus that can be restarted, and four patients that are sick."""

    clinic: Clinic
    scraped: Scraped
    evidence: Evidence

    def labels(self, alert: str, patient: str) -> dict[str, str]:
        # as Alertmanager gets them: with external labels where the series has none of that name
        return {
            "alertname": alert,
            "job": "t",
            "instance": patient,
            "replica": "one",
            "site": "test",
            **TARGETS[patient],
        }

    def rule(self, alert: str) -> FrozenRule:
        found = self.evidence.rule_for(alert, {"alertname": alert}, "")
        assert isinstance(found, FrozenRule)
        return found

    def live(self, alert: str, patient: str) -> Live:
        return self.evidence.live(self.rule(alert), self.labels(alert, patient), "0", SystemClock().now())

    def baseline(self, patient: str) -> Json:
        return self.evidence.baseline(self.rule("Sick"), self.labels("Sick", patient), Verify(alive="x > 0"))

    def health(self, patient: str, baseline: Json, end: float) -> Health:
        now = self.evidence.prometheus_now()
        labels = self.labels("Sick", patient)
        return self.evidence.health(self.rule("Sick"), labels, Verify(alive="x > 0"), baseline, end, now)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clinic = Clinic()
    for patient in TARGETS:
        clinic.put(patient, {"x": 9})
    try:
        with scraping(tmp_path, RULES) as scraped:
            scraped.scrape(clinic, TARGETS)
            made = World(clinic, scraped, Evidence(scraped.client, [], SystemClock()))
            wait_until(lambda: all(made.live("Sick", patient).active for patient in TARGETS), 20)
            yield made
    finally:
        clinic.close()


def test_samples_of_before_a_restart_neither_heal_nor_accuse(world: World) -> None:
    baseline = world.baseline("heals")
    world.clinic.put("heals", {"x": 2})
    end = world.evidence.prometheus_now()
    wait_until(lambda: world.health("heals", baseline, end).healthy, 15)

    # nobody is scraped any more, but every sample lives on for five minutes: no staleness marker was written
    world.scraped.stop()
    world.scraped.targets.write_text("[]", "utf-8")
    world.scraped.start()

    wait_until(lambda: not world.health("heals", baseline, end).healthy, 20)
    for _ in range(5):
        health = world.health("heals", baseline, end)
        assert (health.healthy, health.alive, health.why) == (False, False, "too_old")
    assert world.scraped.prometheus.query('x{instance="sick"} > 5')
    # what was read of Prometheus before, it started since; within ten seconds that is noticed
    wait_until(lambda: world.live("Sick", "sick").blind == ("prometheus",), 20)
    for alert in ("Sick", "Recorded", "Present"):
        wait_until(lambda alert=alert: world.live(alert, "sick").blind == ("prometheus",), 5)
        assert world.live(alert, "sick").firing is None

    world.clinic.put("sick", {"x": 1})
    world.scraped.scrape(world.clinic, TARGETS)
    wait_until(lambda: world.live("Sick", "sick").firing is False, 20)
    wait_until(lambda: world.live("Sick", "one").firing is True, 20)
    wait_until(lambda: world.health("heals", baseline, end).healthy, 20)
    assert world.health("heals", baseline, end).alive


def test_a_neighbour_with_another_value_of_an_external_label_does_not_fire_for_ours(world: World) -> None:
    baseline = world.baseline("one")
    world.clinic.put("one", {"x": 2})
    end = world.evidence.prometheus_now()

    wait_until(lambda: world.live("Sick", "one").firing is False, 15)
    assert world.live("Sick", "two").firing is True
    # the proof does not know whose label it is, so it waits for both: late, but never wrong
    assert not world.health("one", baseline, end).healthy


def test_only_what_is_read_for_the_alert_itself_holds_it_back_after_a_restart(world: World) -> None:
    world.scraped.stop()
    # as a group of processes that ended meanwhile: its samples live on for five minutes
    world.scraped.scrape(world.clinic, {name: labels for name, labels in TARGETS.items() if name != "ended"})
    world.scraped.start()

    for alert in ("Sick", "Grouped"):
        wait_until(lambda alert=alert: world.live(alert, "lives").firing is True, 20)
    # what was read of Prometheus before, it started since; within ten seconds that is noticed
    wait_until(lambda: world.live("Sick", "ended").blind == ("prometheus",), 20)
    for alert in ("Grouped", "Summed", "Sifted"):
        wait_until(lambda alert=alert: world.live(alert, "ended").blind == ("prometheus",), 5)
    for alert in ("Sick", "Grouped"):
        assert (world.live(alert, "lives").firing, world.live(alert, "lives").blind) == (True, ())
    # a sum, and what sifts by values, read the group that ended
    for alert in ("Summed", "Sifted"):
        assert world.live(alert, "lives").blind == ("prometheus",)
