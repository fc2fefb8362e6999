"""Two Prometheus servers that differ in their `replica` label, two clustered Alertmanagers: one fault, one healing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import ledger
from benchmarks.rig import Rig, free_port, running, until
from selfheal.stack.tools import default_folder, provide
from tests.pipeline.conftest import FREE, LEDGER, playbook
from tests.tools import tool

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

# a scrape that a busy machine misses ends no alert, for then it would rightly be healed again
RULES = """groups:
  - name: cases
    rules:
      - {alert: Sick, expr: "last_over_time(sick[20s]) > 0", labels: {severity: warning}}
"""
BOOK = playbook("plain", f"mode: auto\n{FREE}, attempts: 3}}\nsteps: [{LEDGER[2:]}]\nverify: none\n")


class Pair(Rig):
    """A rig with everything around the remediator twice; both Alertmanagers may deliver, which they will."""

    def start(self, *, deliver: bool = True) -> None:
        """Start both halves."""
        assert deliver
        other_prometheus, other_alertmanager = free_port(), free_port()
        cluster = free_port(), free_port()
        tools = provide(default_folder(), lambda _line: None)
        both = f'"127.0.0.1:{self.alertmanager_port}", "127.0.0.1:{other_alertmanager}"'
        written = (self.folder / "prometheus.yml").read_text("utf-8")
        written = written.replace(f'"127.0.0.1:{self.alertmanager_port}"', both)
        for name, port in (("a", self.prometheus_port), ("b", other_prometheus)):
            config = self.folder / f"prometheus-{name}.yml"
            config.write_text(
                written.replace("global: {", f"global: {{external_labels: {{replica: {name}}}, "), "utf-8"
            )
            self._spawn(
                tools["prometheus"].path,
                tools["prometheus"].folder,
                f"--config.file={config}",
                f"--storage.tsdb.path={self.folder}/tsdb-{name}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            )
        for number, port in enumerate((self.alertmanager_port, other_alertmanager)):
            self._spawn(
                tools["alertmanager"].path,
                tools["alertmanager"].folder,
                f"--config.file={self.folder}/alertmanager.yml",
                f"--storage.path={self.folder}/alertmanager-{number}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--cluster.listen-address=127.0.0.1:{cluster[number]}",
                f"--cluster.peer=127.0.0.1:{cluster[1 - number]}",
                "--cluster.advertise-address=127.0.0.1:" + str(cluster[number]),
                # too short to hear of the other's delivery: so both deliver
                "--cluster.peer-timeout=1ms",
                "--cluster.settle-timeout=2s",
                "--log.level=error",
            )
        config = self.folder / "remediator.yml"
        listed = f'alertmanagers: [{{url: "http://127.0.0.1:{self.alertmanager_port}"}}, {{url: "http://127.0.0.1:{other_alertmanager}"}}]'
        config.write_text(re.sub(r"(?m)^alertmanagers: .*$", listed, config.read_text("utf-8")), "utf-8")
        for port in (self.prometheus_port, other_prometheus, self.alertmanager_port, other_alertmanager):
            until(lambda port=port: self._answers(port, "/-/ready"))  # type: ignore[misc]
        self.start_remediator()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Pair]:
    tool("prometheus"), tool("alertmanager")
    with running(Pair(tmp_path / "pair", RULES, playbooks=[BOOK], limits="limits: {rate: [1000/1h]}")) as rig:
        rig.start()
        yield rig


def deliveries(rig: Rig) -> float:
    found = re.search(r'deliveries_total\{result="stored"\} (\d+)', rig.get("/metrics")[1].decode())
    return float(found[1]) if found else 0.0


def test_what_two_pairs_tell_of_is_healed_once(rig: Pair) -> None:
    rig.gauges.text = 'sick{item="disk",case="plain"} 1\n'
    until(lambda: ledger.entries(rig.folder / "ledger"), 60)
    # the second replica's alert came too, and perhaps each from either Alertmanager
    until(lambda: deliveries(rig) >= 2, 60)
    alerts = rig.api("/api/v1/alerts")["items"]
    rig.gauges.text = 'sick{item="disk",case="plain"} 0\n'
    until(lambda: all(entry["closed_at"] for entry in rig.api("/api/v1/alerts")["items"]), 60)

    assert len(ledger.entries(rig.folder / "ledger")) == 1
    assert [entry["labels"]["item"] for entry in alerts] == ["disk"]
    replicas = {entry["labels"]["replica"] for entry in rig.api("/api/v1/alerts")["items"]}
    assert replicas <= {"a", "b"}
    # the Prometheus that is asked may be the second to see it
    states = [each["state"] for each in rig.api("/api/v1/remediations")["items"]]
    assert len(states) - states.count("skipped") == 1
