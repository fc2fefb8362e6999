"""What the healing benchmark computes: who gets which fault, which effects are foreign, how its files differ."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.healing import configure
from benchmarks.healing.configure import COMMITTED, changed_playbooks, difference, render_centre, render_host
from benchmarks.healing.faults import KINDS, Shape
from benchmarks.healing.hosts import Host
from benchmarks.healing.judge import Outcome
from benchmarks.healing.layout import Pace
from benchmarks.healing.peer_monit import CHECKS, can
from benchmarks.healing.rounds import foreign, spread
from remediator.check import run as check
from remediator.model import Reason
from selfheal.stack.config import shipped_rules


def _rules() -> set[str]:
    files = [*shipped_rules(), *(COMMITTED / "rules").glob("*.yml")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_there_are_enough_kinds_and_each_has_its_alert_and_playbook() -> None:
    playbooks = {path.stem for path in (COMMITTED / "playbooks").glob("*.yml")} | set(changed_playbooks())

    assert sum(not fault.handed for fault in KINDS.values()) >= 24
    assert {fault.alert for fault in KINDS.values()} <= _rules()
    assert {fault.playbook for fault in KINDS.values()} - {""} == playbooks
    assert {fault.handed for fault in KINDS.values()} - {""} <= {reason.value for reason in Reason}


def test_no_two_kinds_have_the_same_alert_on_one_host() -> None:
    for fault in KINDS.values():
        labels = {"alertname": fault.alert, **fault.about}

        assert [other.name for other in KINDS.values() if other.is_about(labels)] == [fault.name]


@pytest.mark.parametrize("hosts", [1, 2, 6, 40])
def test_every_kind_is_given_to_one_host_and_the_machines_own_to_the_first(hosts: int) -> None:
    queues = spread(KINDS.values(), hosts, random.Random(1))

    assert sorted(fault.name for queue in queues for fault in queue) == sorted(KINDS)
    assert all(fault.only in (None, number) for number, queue in enumerate(queues, 1) for fault in queue)
    assert sum(any(fault.busy for fault in queue) for queue in queues) == 1


def test_seeds_spread_kinds_in_different_ways_and_the_same_seed_in_the_same() -> None:
    first, again, second = (spread(KINDS.values(), 6, random.Random(seed)) for seed in (1, 1, 2))

    assert first == again != second


def test_the_committed_configuration_differs_in_limits_and_mode_only(tmp_path: Path) -> None:
    lines = list(difference(tmp_path / "host"))

    assert "remediator.yml: monitoring.after_restart is 0s, shipped 2m" in lines
    assert "restart_service.yml: mode is auto, shipped None" in lines


def test_another_difference_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed = tmp_path / "config"
    committed.mkdir()
    for path in COMMITTED.iterdir():
        (committed / path.name).symlink_to(path)
    (committed / "remediator.yml").unlink()
    text = (COMMITTED / "remediator.yml").read_text("utf-8")
    (committed / "remediator.yml").write_text(f"{text}reconcile: 5s\n", "utf-8")
    monkeypatch.setattr(configure, "COMMITTED", committed)

    with pytest.raises(RuntimeError, match="differs in more than limits and mode: reconcile"):
        list(difference(tmp_path / "host"))


def test_selfheal_check_accepts_a_hosts_files(tmp_path: Path) -> None:
    host = Host(1, tmp_path / "host-1")
    host.folder.mkdir()
    render_host(host, Pace())

    problems = check(host.folder / "remediator.yml", [], []).problems

    # its folders and programs are made when the host is; they are not there now
    found = [f"{each}" for each in problems if each.level == "error" and "/srv/" not in f"{each}"]
    assert found == []


def test_alerts_of_each_host_go_to_its_own_remediator(tmp_path: Path) -> None:
    hosts = [Host(number, tmp_path / f"host-{number}") for number in (1, 2)]
    hosts[1].services["service-down"] = 8101
    render_centre(tmp_path / "centre", hosts, Pace())

    alertmanager = yaml.safe_load((tmp_path / "centre" / "alertmanager.yml").read_text("utf-8"))
    prometheus = yaml.safe_load((tmp_path / "centre" / "prometheus.yml").read_text("utf-8"))

    routes = {route["receiver"]: route["matchers"] for route in alertmanager["route"]["routes"]}
    assert routes == {f"selfheal-{name}": [f'instance=~"{name}:.*"'] for name in ("host-1", "host-2")}
    urls = [each["webhook_configs"][0]["url"] for each in alertmanager["receivers"] if "webhook_configs" in each]
    assert urls == [f"http://10.77.0.{number}:9977/hooks/alertmanager" for number in (11, 12)]
    exporters = prometheus["scrape_configs"][0]["static_configs"]
    assert [each["labels"]["instance"] for each in exporters] == ["host-1:9976", "host-2:9976"]
    assert prometheus["global"] == {"scrape_interval": "5s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    assert '"instance": "host-2:8101", "service": "service-down"' in (tmp_path / "centre/services.json").read_text()


STARTED = "2026-01-01T00:00:10.000Z"
MOMENT = 1767225610.0


def _remediation(effect: dict[str, Any], alert: str = "DirectoryTooLarge", folder: str = "/srv/app/cache") -> Any:
    return {
        "playbook": "clean_directory",
        "started_at": STARTED,
        "alert": {"labels": {"alertname": alert, "directory": folder}},
        "steps": [{"outcome": {"effects": [effect]}}, {"outcome": None}],
    }


def _outcome(kind: str, begun: float, ended: float) -> Outcome:
    return Outcome("host-1", kind, Shape.GAUGE, begun, ended, "healed")


REMOVED = {"kind": "file", "path": "/srv/app/cache/old-0001"}


@pytest.mark.parametrize(
    ("remediation", "outcomes", "count"),
    [
        (_remediation(REMOVED), [_outcome("folder-bytes", MOMENT - 5, MOMENT + 5)], 0),
        (_remediation({"kind": "file", "path": "/srv/app/cache/fresh"}), [_outcome("folder-bytes", 0, MOMENT + 5)], 1),
        (_remediation(REMOVED), [_outcome("folder-bytes", MOMENT + 1, MOMENT + 5)], 1),
        (_remediation(REMOVED), [], 1),
        (
            _remediation({"kind": "file", "path": "/srv/app/queue/old-0001"}, "HealingQueueLong", "/srv/app/queue"),
            [_outcome("observed", MOMENT - 5, MOMENT + 5)],
            1,
        ),
    ],
    ids=["its own", "another file", "before the fault", "no fault", "one to be left to people"],
)
def test_an_effect_that_no_fault_accounts_for_is_a_false_action(
    tmp_path: Path, remediation: Any, outcomes: list[Outcome], count: int
) -> None:
    host = Host(1, tmp_path)

    found = foreign(host, remediation, list(KINDS.values()), outcomes)

    assert len(found) == count


def test_monits_checks_are_of_kinds_that_are_to_be_healed() -> None:
    checks = {path.stem for path in CHECKS.glob("*.conf")}

    assert len(checks) >= 12
    assert checks == {name for name, fault in KINDS.items() if can(fault)}
