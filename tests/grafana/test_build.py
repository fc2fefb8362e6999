"""The committed dashboard is what the builder writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grafana.build import FILE, main, overview, text
from grafana.panels import limit
from selfheal.common.shipped import shipped


def test_the_committed_dashboard_is_what_the_builder_writes() -> None:
    assert FILE.read_text("utf-8") == text()


def test_the_builder_writes_the_same_twice_and_keys_in_order() -> None:
    assert text() == text()
    assert json.loads(text()) == overview()
    assert text() == json.dumps(json.loads(text()), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def test_there_is_one_dashboard_and_it_stands_only_once_in_the_tree() -> None:
    assert [file.name for file in shipped("grafana").rglob("*.json")] == ["selfheal-overview.json"]


def test_a_difference_is_said_and_is_exit_code_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "dashboard.json"

    assert main(["--output", str(written)]) == 0
    assert main(["--check", "--output", str(written)]) == 0
    written.write_text(written.read_text("utf-8").replace("Targets down", "Targets up"), "utf-8")
    assert main(["--check", "--output", str(written)]) == 1
    assert "run python -m grafana.build" in capsys.readouterr().err
    assert main(["--check", "--output", str(tmp_path / "absent.json")]) == 1


def test_it_runs_as_a_module_from_any_folder(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "grafana.build", "--check"], cwd=tmp_path, timeout=30, check=False)

    assert done.returncode == 0


def test_a_limit_is_the_one_of_the_rule() -> None:
    assert limit("HostCpuHigh") == (
        '(max by (instance) (selfheal:threshold{instance=~"$instance", check="cpu_used", level="warning"}) '
        'or group by (instance) (instance:cpu_used:ratio{job=~"$job", instance=~"$instance"}) * 0.80)'
    )
    with pytest.raises(LookupError, match="no alert HostCpuLow"):
        limit("HostCpuLow")
