"""Every rule that a machine may answer can be judged: the shipped ones and those of the demo's patient."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from remediator.judge import Case, Proof, RuleText, prepare
from selfheal.common.shipped import shipped
from selfheal.stack.patient.rules import Timing, render_rules

FOLDER = '/state/a "folder"\\of its own'


def _shipped() -> list[dict[str, Any]]:
    files = sorted(shipped("rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text("utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def _recorded() -> dict[str, tuple[RuleText, ...]]:
    """Return the recorded rules by name, with the example overrides, whose rules share one name."""
    found: dict[str, tuple[RuleText, ...]] = {}
    for rule in _shipped():
        if "record" in rule:
            name = rule["record"]
            found[name] = (*found.get(name, ()), RuleText(name, rule["expr"], rule.get("labels", {}), 15.0))
    return found


def _answered_by_machines() -> list[dict[str, Any]]:
    return [rule for rule in _shipped() if "alert" in rule and rule["annotations"].get("playbook") != "none"]


def _prepared(rule: dict[str, Any]) -> Case:
    case = prepare(RuleText(rule["alert"], rule["expr"], rule["labels"], 15.0), _recorded())
    assert isinstance(case, Case), str(case)
    return case


@pytest.mark.parametrize("rule", _answered_by_machines(), ids=lambda rule: str(rule["alert"]))
def test_a_shipped_alert_without_playbook_none_is_accepted(rule: dict[str, Any]) -> None:
    assert _prepared(rule).window_seconds <= 60


def test_the_five_shipped_alerts_of_the_playbooks_are_among_them() -> None:
    assert {rule["alert"] for rule in _answered_by_machines()} >= {
        "ProcessMemoryLeak",
        "ProcessSpinning",
        "ZombiesPiledUp",
        "ServiceDown",
        "DirectoryTooLarge",
    }


@pytest.mark.parametrize("scrape", [1.0, 2.0, 5.0, 15.0])
def test_every_alert_of_the_patient_is_accepted_at_any_scrape_interval(scrape: float) -> None:
    timing = Timing(scrape)
    rules = render_rules(timing, FOLDER)["groups"][0]["rules"]
    cases = {rule["alert"]: _prepared(rule) for rule in rules}
    windows = {name: case.window_seconds for name, case in cases.items()}

    assert windows == {
        "PatientMemoryLeak": 0,
        "PatientZombies": 0,
        "PatientCpuSpin": timing.window,
        "PatientServiceDown": timing.service_window,
        "PatientFolderFull": 0,
    }
    assert {name for name, case in cases.items() if case.proof is Proof.WINDOW} == {
        name for name, window in windows.items() if window
    }
