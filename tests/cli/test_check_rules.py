"""`selfheal check --rules FILE…` on anyone's rules, nothing else set up: how each alert could be proven, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remediator.locale import catalog
from tests.cli.conftest import Told

HOST = """groups:
  - name: host
    rules:
      - alert: DiskFilling
        expr: |
          predict_linear(node_filesystem_avail_bytes{fstype!="tmpfs"}[6h], 24 * 3600) < 0
            and node_filesystem_avail_bytes{fstype!="tmpfs"} / node_filesystem_size_bytes{fstype!="tmpfs"} * 100 < 15
        for: 1h
      - alert: ReadErrors
        expr: rate(node_network_receive_errs_total[2m]) / rate(node_network_receive_packets_total[2m]) > 0.01
      - {alert: Busy, expr: 'instance:cpu_used:ratio > 0.9', labels: {severity: '{{ $labels.zone }}'}}
      - record: instance:cpu_used:ratio
        expr: 1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))
"""
SERVICES = """groups:
  - name: services
    interval: 30s
    rules:
      - {alert: Watchdog, expr: vector(1)}
      - {alert: Gone, expr: 'absent(up{job="api"})'}
      - {alert: Slow, expr: 'histogram_quantile(0.99, sum by (le) (rate(seconds_bucket[5m]))) > 1'}
      - {alert: Quiet, expr: 'ALERTS{alertstate="firing"} == 1'}
      - {alert: Newer, expr: 'sum({"http.requests"}) > 1'}
      - alert: Limited
        expr: used_bytes > on (instance) group_left () limit_bytes unless on (instance) maintenance == 1
"""
DECLARED = {
    "Watchdog": "it fires because `vector(1)` exists, nothing is compared",
    "Gone": 'it fires because `absent(up{job="api"})` exists, nothing is compared',
    "Slow": "function `histogram_quantile` is not among those that can be judged",
    "Quiet": '`ALERTS{alertstate="firing"}` tells which alerts are on, and one that is silent is no proof',
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, text in (("host.yml", HOST), ("services.yml", SERVICES)):
        (tmp_path / name).write_text(text, "utf-8")
    return [str(tmp_path / "host.yml"), str(tmp_path / "services.yml")]


@pytest.fixture(autouse=True)
def nothing_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")


def test_each_alert_tells_how_soon_it_could_be_proven_or_why_not(files: list[str], say: Callable[..., Told]) -> None:
    told = say("check", "--json", "--rules", *files)
    answer: Any = told.json()

    found = {each["alert"]: (each["proof"], each["window_seconds"]) for each in answer["proofs"]}
    assert told.code == 0
    assert answer["files"] == files
    assert found == {
        "DiskFilling": ("two_scrapes", 0),
        "ReadErrors": ("window", 120),
        "Busy": ("window", 315),
        "Limited": ("two_scrapes", 0),
        **dict.fromkeys([*DECLARED, "Newer"], ("declare", 0)),
    }
    details = {each["alert"]: each["detail"] for each in answer["proofs"] if each["proof"] == "declare"}
    assert all(details[name] == f"{why}; declare `healthy:` in the playbook" for name, why in DECLARED.items())
    assert all(each["file"] in files and each["path"].startswith("groups[0].rules[") for each in answer["proofs"])


@pytest.mark.parametrize(
    ("language", "soon", "later", "never"),
    [
        ("en", "in two scrapes", "after its window of 2m", "only by a declared healthy: ({why})"),
        ("ko", "수집 두 번으로 확인", "2m 구간이 지난 뒤 확인", "선언한 healthy:로만 확인({why})"),
    ],
)
def test_it_is_told_in_words_with_the_reason(
    files: list[str], say: Callable[..., Told], language: str, soon: str, later: str, never: str
) -> None:
    lines = say("check", "--lang", language, "--rules", *files).out.splitlines()

    said = {line.split()[0]: line for line in lines if line.startswith("  ")}
    assert said["DiskFilling"].endswith(soon)
    assert said["ReadErrors"].endswith(later)
    assert all(said[name].endswith(never.format(why=why)) for name, why in DECLARED.items())


def test_the_files_may_be_named_together_or_one_by_one_or_by_the_variable(
    files: list[str], say: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = say("check", "--json", "--rules", *files).out
    one_by_one = say("check", "--json", "--rules", files[0], "--rules", files[1]).out
    monkeypatch.setenv("SELFHEAL_RULES", ",".join(files))

    assert together == one_by_one == say("check", "--json").out
    # what is written counts alone
    assert say("check", "--json", "--rules", files[0]).json()["files"] == files[:1]


def test_a_file_that_is_broken_hides_nothing_of_the_others(files: list[str], say: Callable[..., Told]) -> None:
    Path(files[0]).write_text("groups: [{name: x, rules: [{alert: A, expr: 'sum('}]}]", "utf-8")

    told = say("check", "--lang", "en", "--rules", *files)

    assert told.code == 1
    assert "groups[0].rules[0].expr" in told.out
    assert "Limited" in told.out


@pytest.mark.parametrize("language", ["en", "ko"])
def test_that_only_what_is_shipped_was_read_is_said(language: str, files: list[str], say: Callable[..., Told]) -> None:
    expected = catalog(language).say("cli.check.shipped_only")

    assert say("check", "--lang", language).out.splitlines()[0] == expected
    assert expected not in say("check", "--lang", language, "--rules", *files).out
