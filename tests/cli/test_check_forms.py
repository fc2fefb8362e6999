"""What `selfheal check` answers with besides text: SARIF, JSON by either name, and the schemas for editors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Told

BAD = "groups: [{name: x, rules: [{alert: A, expr: 'sum('}]}]"
FINE = "groups: [{name: x, rules: [{alert: A, expr: 'x > 1'}]}]"


@pytest.mark.parametrize(("text", "code", "level"), [(BAD, 1, "error"), (FINE, 0, "warning")], ids=["error", "warning"])
def test_sarif_names_files_from_the_folder_it_is_started_in(
    text: str, code: int, level: str, say: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules.yml").write_text(text)
    monkeypatch.chdir(tmp_path)

    told = say("check", "--format", "sarif", "--rules", "rules.yml")

    results = told.json()["runs"][0]["results"]
    assert told.code == code
    assert {result["level"] for result in results} == {level}
    assert {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results} == {"rules.yml"}


def test_json_has_two_names(say: Callable[..., Told], tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(FINE)

    one = say("check", "--format", "json", "--rules", str(tmp_path / "rules.yml"))

    assert one.json()["problems"] != []
    assert one.out == say("check", "--json", "--rules", str(tmp_path / "rules.yml")).out


@pytest.mark.parametrize("name", ["playbook", "config", "policy"])
def test_a_schema_is_written_without_anything_set_up(
    name: str, say: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    told = say("check", "--schema", name)

    assert told.code == 0
    assert told.json()["type"] == "object"
    assert "properties" in told.json()


def test_another_schema_is_refused(say: Callable[..., Told]) -> None:
    told = say("check", "--schema", "rules")

    assert told.code == 2
    assert "playbook" in told.err
