"""The files in examples/: what we read is clean, what Prometheus and Alertmanager read they accept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from remediator.check import run
from remediator.config.reading import load
from remediator.model import Mode
from remediator.policy_file import load_policy
from selfheal.common.processes import Grouping
from tests.tools import binary

TOP = Path(__file__).parents[2]
NOT_ON_THIS_MACHINE = ("is no folder on this machine", "is no program that this user may start")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    shutil.copytree(TOP / "examples", tmp_path / "examples")
    shutil.copytree(TOP / "rules", tmp_path / "rules", ignore=shutil.ignore_patterns("tests"))
    for path in (tmp_path / "examples").iterdir():
        path.chmod(0o644)
    for name in ("hook.token", "api.token"):
        token = tmp_path / "examples" / name
        token.write_text(f"{name}-0123456789abcdef\n")
        token.chmod(0o600)
    return tmp_path / "examples"


def test_the_example_configuration_is_clean_but_for_what_this_machine_lacks(examples: Path) -> None:
    report = run(examples / "remediator.yml")

    left = [problem for problem in report.problems if not problem.what.endswith(NOT_ON_THIS_MACHINE)]
    assert left == []
    assert report.ok
    assert all(problem.level == "warning" for problem in report.problems)


def test_the_example_observes_and_asks_for_both_credentials(examples: Path) -> None:
    config = load(examples / "remediator.yml", "0.0.0.0:9977")

    assert config.highest_mode is Mode.OBSERVE
    assert len(config.hook_tokens) == len(config.api_tokens) == 1
    assert config.process_config == examples / "process-groups.yml"


def test_the_example_policy_permits_what_it_lists(examples: Path) -> None:
    grouping = Grouping.load(examples / "process-groups.yml")
    policy = load_policy(examples / "policy.yml", grouping=grouping)

    assert policy.problem is None
    assert all(policy.may_group(group) is None for group in grouping.names())
    assert policy.may_group("database") is not None
    assert policy.command("web").status[0] == "/usr/bin/systemctl"


def test_prometheus_accepts_its_example(examples: Path) -> None:
    done = subprocess.run(
        [binary("promtool"), "check", "config", examples / "prometheus.yml"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_example_reads_every_shipped_rule_file_and_reaches_everybody(examples: Path) -> None:
    written = yaml.safe_load((examples / "prometheus.yml").read_text("utf-8"))
    config = load(examples / "remediator.yml")

    named = {Path(path).name for path in written["rule_files"] if path.startswith("../rules/")}
    assert named == {path.name for path in config.rules}
    jobs = {job["job_name"] for job in written["scrape_configs"]}
    assert jobs == {"selfheal-exporter", "selfheal-remediator", "prometheus", "alertmanager"}
    assert written["global"]["scrape_interval"] == "15s"


def test_alertmanager_accepts_its_example(examples: Path) -> None:
    done = subprocess.run(
        [binary("amtool"), "check-config", examples / "alertmanager.yml"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_remediators_route_is_first_and_lets_every_alert_go_on(examples: Path) -> None:
    written = yaml.safe_load((examples / "alertmanager.yml").read_text("utf-8"))
    config = load(examples / "remediator.yml")

    first = written["route"]["routes"][0]
    assert first["receiver"] == config.receiver
    assert first["continue"] is True
    assert first["group_by"] == ["alertname", "instance"]
    assert (first["group_wait"], first["group_interval"], first["repeat_interval"]) == ("0s", "1s", "5m")
    hook = next(receiver for receiver in written["receivers"] if receiver["name"] == config.receiver)
    assert hook["webhook_configs"][0]["url"].endswith("/hooks/alertmanager")
    assert hook["webhook_configs"][0]["send_resolved"] is True
