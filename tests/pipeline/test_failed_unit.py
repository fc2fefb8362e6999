"""A unit of a really booted systemd fails, our exporter tells it, and the shipped playbook brings it back, proven."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.rig import Rig, free_port, running, until
from remediator.actions.local import LocalDispatch
from remediator.app import App
from remediator.reading import read
from selfheal.common.shipped import shipped
from tests.actions.systemd_world import UnitHost, unit_host
from tests.tools import tool

UNIT = "web.service"
RULE = """groups:
  - name: units
    rules:
      - alert: SystemdUnitFailed
        expr: node_systemd_unit_state{state="failed", name="web.service"} > 0
"""
QUICK = {"healthy_for: 30s": "healthy_for: 1s", "within: 5m": "within: 1m", "watch: 15m": "watch: 0s"}
POLICY = """units: {{web.service: {{verbs: [reset-failed, restart]}}}}
programs: {{systemctl: {systemctl}}}
"""


@pytest.fixture
def host() -> Iterator[UnitHost]:
    tool("prometheus"), tool("alertmanager")
    with unit_host() as host:
        yield host


@pytest.fixture
def rig(tmp_path: Path, host: UnitHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Return Prometheus, Alertmanager and an exporter of that host; the remediator's files, for one that sees it."""
    text = shipped("remediator", "playbooks", "shipped", "restart_failed_unit.yml").read_text("utf-8")
    for slow, quick in QUICK.items():
        assert slow in text
        text = text.replace(slow, quick)
    policy = POLICY.format(systemctl=host.policy.programs.systemctl)
    made = Rig(tmp_path / "r", RULE, playbooks=[f"{text}mode: auto\n"], policy=policy)
    gauges, made.instance = made.instance, f"127.0.0.1:{free_port()}"
    for name in ("prometheus.yml", "remediator.yml"):
        config = made.folder / name
        config.write_text(config.read_text("utf-8").replace(gauges, made.instance), "utf-8")
    # pids that its systemd names are those of its own world
    monkeypatch.setitem(LocalDispatch.__init__.__kwdefaults__, "procfs", Path(f"/proc/{host.world.pid}/root/proc"))
    flags = ("--collector.systemd", "--collector.systemd.refresh-interval=1s", f"--web.listen-address={made.instance}")
    bus = f"unix:path=/proc/{host.world.pid}/root/run/dbus/system_bus_socket"
    exporter = subprocess.Popen(
        [sys.executable, "-m", "exporter", *flags],
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with running(made):
            made.start()
            yield made
    finally:
        exporter.kill()
        exporter.wait()


def test_a_unit_that_failed_is_restarted_by_the_shipped_playbook_and_proven_well(rig: Rig, host: UnitHost) -> None:
    app = App(lambda: read(rig.folder / "remediator.yml", f"127.0.0.1:{rig.port}"))
    app.start()
    try:
        host.start(UNIT)
        told = f'node_systemd_unit_state{{name="{UNIT}",state="active"}} == 1'
        until(lambda: rig.query(told), 60.0)
        host.world.systemctl("kill", "--kill-whom=main", "--signal=SEGV", UNIT)

        until(lambda: [each for each in rig.api("/api/v1/remediations?limit=9")["items"] if each["verdict"]], 120.0)
        number = rig.api("/api/v1/remediations?limit=9")["items"][0]["id"]
        detail = rig.api(f"/api/v1/remediations/{number}")
    finally:
        app.stop()

    assert (detail["verdict"], detail["reason"]) == ("fixed", "proven")
    assert [(step["action"], step["state"]) for step in detail["steps"]] == [
        ("service.reset_failed", "done"),
        ("service.restart", "done"),
    ]
    assert host.state(UNIT) == "active"
