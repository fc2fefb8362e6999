"""The remediator's way to itself on real parts: a test alert that is healed, and parts that are stopped and missed."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rig import Rig, running, until
from remediator import address
from remediator.config import SHIPPED_PLAYBOOKS
from selfheal.cli import main
from selfheal.common.shipped import shipped
from tests.tools import tool

# the shipped rules as they are, except that nobody waits here, and that Watchdog begins when told
RULES = (
    shipped("rules", "remediator.yml").read_text("utf-8")
    .replace("for: 10m", "for: 0s").replace("for: 1m", "for: 0s").replace("expr: vector(1)", "expr: begin")
)  # fmt: skip
PLAYBOOK = shipped(*SHIPPED_PLAYBOOKS, "selftest.yml").read_text("utf-8")
SETTINGS = "watchdog: {interval: 2s, notify: {command: tell_people}}\nlimits: {rate: [1000/1h]}"
POLICY = """commands:
  tell_people:
    start: [/bin/sh, -c, "echo begun >> {folder}/told"]
    stop: [/bin/sh, -c, "echo over >> {folder}/told"]
    status: [/bin/true]
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Real parts whose Prometheus scrapes the remediator too."""
    tool("prometheus"), tool("alertmanager")
    folder = tmp_path_factory.mktemp("selftest") / "r"
    policy = POLICY.format(folder=folder)
    with running(Rig(folder, RULES, playbooks=[PLAYBOOK], limits=SETTINGS, policy=policy)) as rig:
        own = f"127.0.0.1:{rig.port}"
        rewrite(folder / "remediator.yml", f'"{rig.instance}"]', f'"{rig.instance}", "{own}"]')
        rewrite(folder / "alertmanager.yml", "repeat_interval: 5m", "repeat_interval: 1s")
        with (folder / "prometheus.yml").open("a") as file:
            file.write(f'  - {{job_name: remediator, static_configs: [{{targets: ["{own}"]}}]}}\n')
        rig.start()
        rig.start_remediator()
        # Prometheus knows its Alertmanagers after some seconds, and tells what it could not send only a minute later
        until(lambda: b'"url"' in rig.get("/api/v1/alertmanagers", port=rig.prometheus_port)[1], 20)
        rig.gauges.text = "begin 1\n"
        until(lambda: rig.query(f'up{{instance="{own}"}} == 1'), 20)
        yield rig


def child(rig: Rig, name: str) -> subprocess.Popen[bytes]:
    """Return the running program of that name."""
    return next(each for each in rig._children if Path(str(each.args[0])).name.endswith(name))  # type: ignore[index]


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


@pytest.fixture
def selftest(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    def run(*words: str) -> tuple[int, Any]:
        # a remediator that was just started is ready a moment before it says where it answers
        until(lambda: address.read(rig.folder / "state"), 10)
        capsys.readouterr()
        code = main(["selftest", "--config.file", str(rig.folder / "remediator.yml"), "--lang", "en", *words])
        out = capsys.readouterr().out
        return code, json.loads(out) if "--json" in words else out

    return run


def firing(rig: Rig, alertname: str) -> bool:
    return bool(rig.query(f'ALERTS{{alertname="{alertname}", alertstate="firing"}}'))


def value(rig: Rig, metric: str) -> float:
    page = rig.get("/metrics")[1].decode()
    return float(next(line.split()[-1] for line in page.splitlines() if line.startswith(metric)))


def problems(rig: Rig) -> list[str]:
    try:
        return [each["kind"] for each in json.loads((rig.folder / "state" / "problems.json").read_text())["problems"]]
    except FileNotFoundError:
        return []


def test_an_alert_goes_the_whole_way_and_each_leg_is_timed(rig: Rig, selftest: Callable[..., tuple[int, Any]]) -> None:
    code, found = selftest("--json", "--within", "40s")

    assert (code, found["result"], found["state"]) == (0, "passed", "succeeded")
    assert list(found["legs"]) == ["rule", "delivery", "decision", "step", "proof"]
    # two fresh scrapes of a second each: nothing less would be proof
    assert found["legs"]["proof"] >= 1.0
    remediation = rig.api(f"/api/v1/remediations/{found['remediation_id']}")
    assert (remediation["verdict"], remediation["playbook"]) == ("fixed", "selftest")
    assert [(step["action"], step["state"]) for step in remediation["steps"]] == [("notify.log", "done")]
    assert remediation["evidence"][-1]["body"]["healthy"] is True
    assert value(rig, "selfheal_remediator_selftest_wanted") == 0
    assert value(rig, "selfheal_remediator_selftest_duration_seconds") == pytest.approx(found["seconds"], abs=0.01)
    assert value(rig, 'selfheal_remediator_selftest_leg_duration_seconds{leg="proof"}') == found["legs"]["proof"]
    assert value(rig, "selfheal_remediator_selftest_last_success_timestamp_seconds") > 1e9


@pytest.mark.timeout(120)
def test_without_alertmanager_the_test_names_the_leg_and_people_are_told_once_and_at_the_end(
    rig: Rig, selftest: Callable[..., tuple[int, Any]]
) -> None:
    until(lambda: value(rig, "selfheal_watchdog_deliveries_total") > 2, 20)
    (rig.folder / "told").unlink(missing_ok=True)
    alertmanager = child(rig, "alertmanager")
    alertmanager.send_signal(signal.SIGSTOP)
    try:
        # reconciliation cannot take it in either: it would ask the same Alertmanager
        code, out = selftest("--within", "6s")
        until(lambda: problems(rig) == ["watchdog"], 20)
        until(lambda: (rig.folder / "told").exists(), 5)
        told = (rig.folder / "told").read_text()
    finally:
        alertmanager.send_signal(signal.SIGCONT)
    until(lambda: problems(rig) == [], 20)
    until(lambda: "over" in (rig.folder / "told").read_text(), 5)

    assert code == 1
    assert "it did not come through metric to firing rule" in out or "rule to stored alert" in out
    assert told == "begun\n"
    assert (rig.folder / "told").read_text() == "begun\nover\n"
    log = (rig.folder / "remediator.log").read_text()
    line = next(line for line in log.splitlines() if "level=critical" in line and "problem=watchdog" in line)
    assert "which always fires, has not been delivered" in line
    assert "항상 켜져 있는 알림 Watchdog" in line
    assert value(rig, "selfheal_remediator_selftest_wanted") == 0


@pytest.fixture
def afterwards_as_before(rig: Rig) -> Iterator[None]:
    """Let there be a history; put files and state back when the test is over."""
    until(lambda: any(alert["fate"] for alert in rig.api("/api/v1/alerts")["items"]), 20)
    rig.stop_remediator()
    kept = rig.folder.with_name("kept")
    shutil.copytree(rig.folder / "state", kept / "state")
    shutil.copytree(rig.folder / "playbooks", kept / "playbooks")
    yield
    rig.stop_remediator()
    for name in ("state", "playbooks"):
        shutil.rmtree(rig.folder / name)
        (kept / name).rename(rig.folder / name)
    rig.start_remediator()


@pytest.mark.timeout(120)
def test_an_altered_history_and_a_refused_reload_raise_their_alerts(rig: Rig, afterwards_as_before: None) -> None:
    connection = sqlite3.connect(rig.folder / "state" / "selfheal.db")
    connection.execute("DROP TRIGGER event_stays")
    connection.execute('UPDATE event SET detail = \'{"who":"nobody"}\' WHERE id = (SELECT MIN(id) FROM event)')
    connection.commit()
    connection.close()
    rig.start_remediator()
    (rig.folder / "playbooks" / "0.yml").write_text("playbook: [", "utf-8")
    assert rig.remediator is not None
    rig.remediator.send_signal(signal.SIGHUP)

    until(lambda: firing(rig, "RemediatorAuditBroken"), 20)
    until(lambda: firing(rig, "RemediatorReloadFailed"), 20)

    assert "audit" in problems(rig)
    assert value(rig, "selfheal_remediator_audit_broken") == 1
