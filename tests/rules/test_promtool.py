"""Prometheus's own tool reads the rules and runs their unit tests; a rule that is spoilt is found by them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rules.loaded import ALERTS, FILES, RULES, UNIT_TESTS, WITH_THRESHOLD, Alert
from tests.tools import tool


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool and return what it said."""
    found = tool("promtool")
    command = [str(found.path), *map(str, arguments)]
    return subprocess.run(command, cwd=found.folder, capture_output=True, text=True, timeout=50, check=False)


def test_promtool_accepts_every_rule_file() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES, RULES / "overrides.example.yml")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_the_unit_tests_of_the_rules_pass(file: Path) -> None:
    done = promtool("test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def spoilt(alert: Alert, folder: Path, old: str, new: str) -> subprocess.CompletedProcess[str]:
    """Run the unit tests of an alert with one part of its rule replaced."""
    text = alert.file.read_text("utf-8")
    head, rest = text.split(f"- alert: {alert.name}\n")
    own, *others = rest.split("\n      - alert: ")
    assert old in own
    shutil.copytree(RULES, folder / "rules")
    (folder / "rules" / alert.file.name).write_text(
        f"{head}- alert: {alert.name}\n" + "\n      - alert: ".join([own.replace(old, new, 1), *others]), "utf-8"
    )
    return promtool("test", "rules", folder / "rules" / "tests" / f"{alert.file.stem}_test.yml")


def thresholds() -> list[tuple[Alert, str]]:
    return [(alert, threshold["default"]) for alert in WITH_THRESHOLD for threshold in alert.thresholds]


@pytest.mark.parametrize(("alert", "default"), thresholds(), ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("factor", [0.95, 1.4])
def test_another_default_is_found_by_the_unit_tests(alert: Alert, default: str, factor: float, tmp_path: Path) -> None:
    done = spoilt(alert, tmp_path, f" * {default})", f" * {float(default) * factor:.9g})")

    assert done.returncode != 0
    assert alert.name in done.stderr + done.stdout


@pytest.mark.parametrize("alert", WITH_THRESHOLD, ids=lambda alert: alert.name)
def test_letting_the_tighter_of_two_overrides_win_is_found_by_the_unit_tests(alert: Alert, tmp_path: Path) -> None:
    done = spoilt(alert, tmp_path, "max by (instance)", "min by (instance)")

    assert done.returncode != 0
    assert alert.name in done.stderr + done.stdout


@pytest.mark.parametrize("alert", [alert for alert in ALERTS if alert.name != "Watchdog"], ids=lambda alert: alert.name)
def test_a_longer_wait_is_found_by_the_unit_tests(alert: Alert, tmp_path: Path) -> None:
    wait = alert.rule["for"]
    done = spoilt(alert, tmp_path, f"for: {wait}\n", "for: 20m\n")

    assert done.returncode != 0
    assert alert.name in done.stderr + done.stdout


@pytest.mark.parametrize(
    "alert", [alert for alert in ALERTS if " unless " in alert.expression], ids=lambda alert: alert.name
)
def test_a_gate_that_is_left_out_is_found_by_the_unit_tests(alert: Alert, tmp_path: Path) -> None:
    done = spoilt(alert, tmp_path, f" unless {alert.expression.partition(' unless ')[2]}", "")

    assert done.returncode != 0
    assert alert.name in done.stderr + done.stdout
