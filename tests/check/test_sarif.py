"""The report as SARIF 2.1.0: what the standard requires is there, and each problem stands at its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from remediator.check import CHECKS, READING, Report, run
from remediator.check.positions import Position, Positions
from remediator.check.sarif import document
from selfheal.common.problems import Problem

RULES = """groups:
  - name: one
    rules:
      - alert: Ill
        expr: x > 1
        labels: {severity: warning}
        annotations: {summary: s, description: d, runbook_url: r}
      - alert: Other
        expr: y > 1
        labels: {severity: warning}
        annotations:
          summary: s
"""
PLAYBOOK = """playbook: a
trigger:
  alert: Ill
target: {host: "{{ $labels.instance }}", service: web}
steps:
  - action: notify.log
    with: {message: "{{ $annotations.cause }}"}
verify: none
"""


@pytest.fixture
def report(tmp_path: Path) -> Report:
    (tmp_path / "my rules.yml").write_text(RULES)
    (tmp_path / "a.yml").write_text(PLAYBOOK)
    (tmp_path / "broken.yml").write_text("playbook: b\nmood: x\n")
    (tmp_path / "no.yml").write_text("playbook: [\n")
    return run(None, [tmp_path / "my rules.yml"], [tmp_path / name for name in ("a.yml", "broken.yml", "no.yml")])


def results(report: Report, folder: Path) -> list[Any]:
    found: list[Any] = json.loads(json.dumps(document(report, folder)))["runs"][0]["results"]
    return found


def test_each_problem_stands_at_the_line_of_its_key(report: Report, tmp_path: Path) -> None:
    found = {
        (result["ruleId"], result["message"]["text"].partition(": ")[0]): (
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            *result["locations"][0]["physicalLocation"]["region"].values(),
        )
        for result in results(report, tmp_path)
    }

    assert found[("labels", "steps[0].with.message")] == ("a.yml", 7, 12)
    assert found[("alerts", "groups[0].rules[1].annotations")] == ("my%20rules.yml", 11, 9)
    # what is missing has no line of its own: that of the mapping that lacks it
    assert found[("reading", "trigger")] == ("broken.yml", 1, 1)
    assert found[("reading", "mood")] == ("broken.yml", 2, 1)
    # what is no YAML tells its place itself
    assert found[("reading", "line 2, column 1")] == ("no.yml", 2, 1)


def test_what_the_standard_requires_is_there(report: Report, tmp_path: Path) -> None:
    told = document(report, tmp_path)
    (once,) = told["runs"]
    rules = once["tool"]["driver"]["rules"]

    assert told["version"] == "2.1.0"
    assert once["tool"]["driver"]["name"]
    assert [rule["id"] for rule in rules] == [READING, *(check.name for check in CHECKS)]
    assert all(rule["shortDescription"]["text"].endswith(".") for rule in rules)
    assert len(once["results"]) == len(report.problems) > 5
    for result, problem in zip(once["results"], report.problems, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == problem.level in ("error", "warning")
        assert problem.what in result["message"]["text"]
        assert problem.remedy in result["message"]["text"]
        (location,) = result["locations"]
        assert min(location["physicalLocation"]["region"].values()) >= 1
        assert location["physicalLocation"]["artifactLocation"]["uriBaseId"] in once["originalUriBaseIds"]
    assert all(re.fullmatch(r"file:///.*/", base["uri"]) for base in once["originalUriBaseIds"].values())


def test_a_problem_keeps_its_fingerprint_when_lines_are_put_in_above_it(report: Report, tmp_path: Path) -> None:
    before = {each["partialFingerprints"]["problem/v1"] for each in results(report, tmp_path)}
    (tmp_path / "a.yml").write_text(f"# one more line\n{PLAYBOOK}")

    after = results(report, tmp_path)

    assert len(before) == len(report.problems)
    assert {each["partialFingerprints"]["problem/v1"] for each in after} == before
    assert 8 in [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in after]


def test_a_file_outside_of_the_folder_is_named_in_full(report: Report, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()

    uris = {
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for each in results(report, tmp_path / "below")
    }

    assert (tmp_path / "a.yml").as_uri() in uris


@pytest.mark.parametrize(
    ("text", "path", "line", "column"),
    [
        ("a: {b: [1, {c: 2}]}", "a.b[1].c", 1, 13),
        ("a:\n  b: 1\n", "a.missing", 1, 1),
        ("a:\n  - 1\n", "a[3]", 1, 1),
        ("urls:\n  http://a.b/: {}\n  http://a.b/c.d: {methods: [X]}\n", "urls.http://a.b/c.d.methods", 3, 20),
        ("roots: {/a: 1, /a.b: 2}", "roots./a.b", 1, 16),
        ("a: 1\n", "", 1, 1),
        ("a: &x {b: 1}\nc: *x\n", "c.b", 1, 8),
        ("", "a", 1, 1),
        ("a: [", "a", 1, 1),
        ("[" * 5_000, "a", 1, 1),
        ("- a\n- b\n", "[1]", 2, 3),
    ],
)
def test_a_path_is_followed_as_far_as_it_leads(text: str, path: str, line: int, column: int, tmp_path: Path) -> None:
    file = tmp_path / "f.yml"
    file.write_text(text)

    assert Positions().of(Problem(str(file), path, "x")) == Position(line, column)


def test_what_is_no_file_has_its_beginning() -> None:
    assert Positions().of(Problem("--web.listen-address", "", "x")) == Position(1, 1)
