"""What tests of this folder share: one real loop in which each test has a series of its own, and a bench without."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks import ledger
from benchmarks.rig import Rig, running, until
from tests.pipeline.fixtures import act, bench, sources
from tests.tools import tool

__all__ = ["act", "bench", "sources"]

# a scrape that a busy machine misses begins no new alert, which would rightly be healed a second time
RULES = """groups:
  - name: cases
    rules:
      - alert: Sick
        expr: last_over_time(sick[4s]) > 0
        for: 0s
        labels: {severity: warning}
      - alert: Forgotten
        expr: forgotten > 0
        annotations: {playbook: none}
      - alert: Unmatched
        expr: unmatched > 0
"""
HEAD = """playbook: {name}
title: {{en: {name}, ko: {name}}}
trigger: {{alert: Sick, match: ['case="{name}"']}}
target: {{host: "{{{{ $labels.instance }}}}", item: "{{{{ $labels.item }}}}"}}
"""
LEDGER = "- {action: ledger.append, with: {note: one}}"
PROOF = "verify: {healthy_for: 0s, within: 6s, watch: 4s}"
FREE = "limits: {cooldown: 0s, rate: [1000/1h], lock: target, hold_at_most: 30s"


def playbook(name: str, rest: str) -> str:
    return HEAD.format(name=name) + rest


PLAYBOOKS = [
    playbook("plain", f"mode: auto\n{FREE}, attempts: 1}}\nsteps: [{LEDGER[2:]}]\n{PROOF}\n"),
    playbook("again", f"mode: auto\n{FREE}, attempts: 2}}\nsteps: [{LEDGER[2:]}]\n{PROOF}\n"),
    playbook(
        "patient",
        f"mode: auto\n{FREE}, attempts: 1}}\nsteps: [{LEDGER[2:]}]\n"
        "verify: {healthy_for: 4s, within: 16s, watch: 0s}\n",
    ),
    playbook(
        "declared",
        f"mode: auto\n{FREE}, attempts: 1}}\nsteps: [{LEDGER[2:]}]\n"
        "verify: {healthy: 'sick{item=\"{{ $labels.item }}\"} < 5', healthy_for: 0s, within: 6s, watch: 4s}\n",
    ),
    playbook("watching", f"steps: [{LEDGER[2:]}]\n{PROOF}\n"),
    playbook("unasked", f"mode: auto\n{FREE}, attempts: 1}}\nsteps: [{LEDGER[2:]}]\nverify: none\n"),
    playbook(
        "cooling",
        f"mode: auto\nlimits: {{cooldown: 1h, rate: [1000/1h], lock: target}}\nsteps: [{LEDGER[2:]}]\nverify: none\n",
    ),
    playbook(
        "rated",
        f"mode: auto\nlimits: {{cooldown: 0s, rate: [1/1h], lock: target}}\nsteps: [{LEDGER[2:]}]\nverify: none\n",
    ),
    playbook(
        "spread",
        "mode: auto\nlimits: {cooldown: 0s, rate: [1000/1h], lock: target, blast_radius: {by: [job, case], max: 1,"
        " quorum: 'count(up{job=\"{{ $labels.job }}\"} == 1) >= 1'}}\n"
        f"steps: [{LEDGER[2:]}]\nverify: none\n",
    ),
    playbook(
        "two_steps",
        f"mode: auto\n{FREE}, attempts: 1}}\nsteps:\n  {LEDGER}\n  - {{action: ledger.slow, with: {{note: two}}}}\n"
        f"  {LEDGER}\n  - {{action: ledger.append, with: {{note: always}}, always: true}}\n{PROOF}\n",
    ),
    playbook(
        "refused",
        f"mode: auto\n{FREE}}}\n"
        f"steps: [{{action: process.terminate, with: {{group: nobody, over_rss: 1MiB}}}}]\n{PROOF}\n",
    ),
    # alerts whose rule is elsewhere: this Prometheus only measures
    """playbook: elsewhere
trigger: {alert: Elsewhere}
when: 'abroad{item="{{ $labels.item }}"} > 0'
target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}
mode: auto
"""
    f"{FREE}, attempts: 1}}\nsteps: [{LEDGER[2:]}]\n"
    """verify:
  {healthy: 'abroad{item="{{ $labels.item }}"} == 0', healthy_for: 0s, within: 6s, watch: 4s}
""",
    """playbook: half_declared
trigger: {alert: HalfDeclared}
when: 'abroad{item="{{ $labels.item }}"} > 0'
target: {host: "{{ $labels.instance }}", item: "{{ $labels.item }}"}
mode: auto
"""
    f"{FREE}}}\nsteps: [{LEDGER[2:]}]\n{PROOF}\n",
]


class Patient:
    """The sick series of all tests, as one page."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._values: dict[str, float] = {}
        self._lock = threading.Lock()

    def set(self, item: str, case: str, value: float | None, metric: str = "sick") -> None:
        """Give the series a value, or take it away."""
        series = f'{metric}{{item="{item}",case="{case}"}}'
        with self._lock:
            self._values.pop(series, None)
            if value is not None:
                self._values[series] = value
            self._rig.gauges.text = "".join(f"{name} {value}\n" for name, value in self._values.items())


class Case:
    """One test's series and what became of it."""

    def __init__(self, rig: Rig, patient: Patient, item: str, case: str) -> None:
        self.rig, self._patient, self.item, self._case = rig, patient, item, case

    def set(self, value: float | None, metric: str = "sick") -> None:
        """Give the series a value, or take it away."""
        self._patient.set(self.item, self._case, value, metric)

    def labels(self) -> dict[str, str]:
        """The labels of its alert."""
        return {
            "alertname": "Sick", "case": self._case, "instance": self.rig.instance, "item": self.item,
            "job": "gauges", "severity": "warning",
        }  # fmt: skip

    def alerts(self) -> list[dict[str, Any]]:
        """Its alerts as the API tells them, newest first."""
        items = self.rig.api("/api/v1/alerts?limit=200")["items"]
        return [item for item in items if item["labels"].get("item") == self.item]

    def remediations(self) -> list[dict[str, Any]]:
        """Its remediations, newest first."""
        items = self.rig.api("/api/v1/remediations?limit=200")["items"]
        return [item for item in items if item["alert"]["labels"].get("item") == self.item]

    def detail(self) -> dict[str, Any]:
        """Everything about its newest remediation."""
        found: dict[str, Any] = self.rig.api(f"/api/v1/remediations/{self.remediations()[0]['id']}")
        return found

    def wait(self, state: str, seconds: float = 25.0) -> dict[str, Any]:
        """Return its newest remediation's details once it is in `state`."""

        def there() -> bool:
            return any(item["state"] == state for item in self.remediations()[:1])

        try:
            until(there, seconds, 0.1)
        except TimeoutError:
            raise AssertionError((state, self.remediations(), self.alerts())) from None
        return self.detail()

    def effects(self) -> list[str]:
        """The ids of its steps that stand in the ledger."""
        planned = {
            item.get("verb")
            for remediation in self.remediations()
            for step in self.rig.api(f"/api/v1/remediations/{remediation['id']}")["steps"]
            for item in step["plan"]["items"]
        }
        return [entry for entry in ledger.entries(self.rig.folder / "ledger") if entry in planned]

    def wait_for_effects(self, count: int, seconds: float = 20.0) -> None:
        """Return when that many of its effects stand in the ledger."""
        until(lambda: len(self.effects()) >= count, seconds, 0.1)


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The running parts."""
    tool("prometheus"), tool("alertmanager")
    with running(
        Rig(tmp_path_factory.mktemp("rig") / "r", RULES, playbooks=PLAYBOOKS, limits="limits: {rate: [1000/1h]}")
    ) as rig:
        rig.start()
        rig.start_remediator()
        yield rig


@pytest.fixture(scope="session")
def patient(rig: Rig) -> Patient:
    """Everybody's series."""
    return Patient(rig)


_numbers = itertools.count(1)


@pytest.fixture
def case(rig: Rig, patient: Patient, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A series of the test's own, of the case that its marker `case` names; taken away at its end."""
    marker = request.node.get_closest_marker("case")
    made = Case(rig, patient, f"item{next(_numbers)}", marker.args[0])
    yield made
    for metric in ("sick", "forgotten", "unmatched"):
        made.set(None, metric)
