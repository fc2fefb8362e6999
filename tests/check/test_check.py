"""`selfheal check`: each folder in cases/ holds files with a fault, its expected.txt everything that is said of it."""

from __future__ import annotations

import json
import pkgutil
import re
import shutil
from pathlib import Path

import pytest

from remediator import check
from remediator.check import CHECKS, READING, Report, run
from remediator.config import SHIPPED_PLAYBOOKS, SHIPPED_RULES, shipped_files
from remediator.judge import Proof
from selfheal.common.shipped import shipped

CASES = sorted((Path(__file__).parent / "cases").iterdir())
READERS = {"rules", "world", "answers", "known_labels", "positions", "sarif", "schema", "fragments", "described"}
"""Modules in the room that check nothing."""


def check_case(case: Path, folder: Path) -> Report:
    shutil.copytree(case, folder)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    config = folder / "remediator.yml"
    if config.exists():
        return run(config)
    return run(None, sorted(folder.glob("rules.yml")), sorted(folder.glob("playbooks/*.yml")))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_case_is_told_with_file_path_and_remedy(case: Path, tmp_path: Path) -> None:
    expected = (case / "expected.txt").read_text("utf-8").splitlines()

    report = check_case(case, tmp_path / "c")

    found = [f"{problem.level}: {problem}".replace(f"{tmp_path}/c/", "") for problem in report.problems]
    assert found == expected
    assert report.ok is not any(line.startswith("error: ") for line in expected)


def test_what_is_shipped_is_clean() -> None:
    report = run()

    assert report.problems == ()
    assert report.ok
    assert set(report.files) == {*shipped_files(SHIPPED_RULES), *shipped_files(SHIPPED_PLAYBOOKS)}


def test_every_shipped_alert_tells_its_proof_class() -> None:
    proofs = {found.alert: found for found in run().proofs}

    assert proofs["ProcessMemoryLeak"].proof is Proof.TWO_SCRAPES
    assert proofs["ProcessMemoryLeak"].playbook == "restart_leaking_worker"
    assert proofs["ProcessSpinning"].proof is Proof.WINDOW
    assert proofs["ProcessSpinning"].window_seconds == 60.0
    assert proofs["ServiceDown"].playbook == "restart_service"
    assert proofs["Watchdog"].proof is Proof.DECLARE
    assert proofs["Watchdog"].playbook is None
    assert "declare `healthy:`" in proofs["Watchdog"].detail


def test_a_report_is_json() -> None:
    found = json.loads(json.dumps(run().to_json()))

    assert found["ok"] is True
    assert found["problems"] == []
    assert {"alert", "proof", "playbook", "window_seconds"} <= set(found["proofs"][0])


def test_rules_alone_are_checked_without_calling_playbooks_missing(tmp_path: Path) -> None:
    rules = shipped_files(SHIPPED_RULES)

    report = run(None, rules)

    assert report.problems == ()
    assert len(report.proofs) > 10
    assert {found.playbook for found in report.proofs} == {None}


def test_playbooks_alone_are_checked_without_calling_rules_missing() -> None:
    report = run(None, playbooks=shipped_files(SHIPPED_PLAYBOOKS))

    assert report.problems == ()
    assert report.proofs == ()


def test_a_missing_configuration_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / "none.yml"

    report = run(path)

    assert [str(problem) for problem in report.problems] == [
        f"{path}: cannot be read (No such file or directory); name a file that this user can read"
    ]


def test_a_broken_configuration_hides_no_mistake_in_the_files_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "one.yml").write_text("playbook: one\nsteps: [{action: process.terminat}]\n")
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]\n")
    policy = tmp_path / "policy.yml"
    policy.write_text("process_group: [worker]\n")
    policy.chmod(0o600)
    config = tmp_path / "remediator.yml"
    config.write_text("higest_mode: auto\nrules: [rules.yml]\nplaybooks: ['playbooks/*.yml']\npolicy: policy.yml\n")

    told = {Path(problem.file).name for problem in run(config).problems}

    assert told == {"remediator.yml", "one.yml", "rules.yml", "policy.yml"}


def test_every_check_in_the_room_is_in_the_table() -> None:
    modules = {module.name for module in pkgutil.iter_modules(check.__path__)}

    assert modules - READERS == {found.name for found in CHECKS}


def test_a_policy_that_others_may_write_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    check_case(next(case for case in CASES if case.name == "a_policy_that_denies"), folder)
    (folder / "policy.yml").chmod(0o666)

    found = [str(problem) for problem in run(folder / "remediator.yml").problems]

    wanted = f"{folder}/policy.yml: can be written by others (mode 0666), so everything is denied; "
    assert wanted + f"run chmod 600 {folder}/policy.yml" in found


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_problem_of_a_check_names_file_path_and_remedy(case: Path, tmp_path: Path) -> None:
    report = check_case(case, tmp_path / "c")

    assert len(report.found_by) == len(report.problems)
    for problem, found_by in zip(report.problems, report.found_by, strict=True):
        assert Path(problem.file).is_file()
        assert problem.path or found_by == READING
        assert problem.what
        assert problem.remedy or found_by == READING
        assert problem.level in ("error", "warning")


def test_every_check_has_a_case_and_a_row_in_the_reference(tmp_path: Path) -> None:
    page = (
        shipped("docs", "reference", "playbooks.md").read_text("utf-8").partition("## What `selfheal check` proves")[2]
    )
    found = {name for number, case in enumerate(CASES) for name in check_case(case, tmp_path / str(number)).found_by}

    assert found == {READING, *(check.name for check in CHECKS)}
    assert re.findall(r"^\| `(\w+)` \|", page, re.M) == [*(check.name for check in CHECKS), READING]


def test_an_address_and_a_header_that_are_forgotten_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    check_case(next(case for case in CASES if case.name == "settings_that_just_do"), folder)
    for name in ("key", "hmac"):
        (folder / name).write_text("0123456789abcdef" * 3)
        (folder / name).chmod(0o600)
    file = folder / "remediator.yml"
    written = file.read_text() + "hook: {hmac: {secret_file: hmac}}\napproval: {link_key_file: key}\n"
    file.write_text(written)

    found = [f"{problem.level}: {problem}".replace(f"{folder}/", "") for problem in run(file).problems]

    assert found == [
        "warning: remediator.yml: approval.link_key_file: signs nothing: without approval.url there are no links; "
        "add approval.url",
        "warning: remediator.yml: hook.hmac.timestamp_header: is missing, so whoever saw a signed delivery can send it "
        "again at any time; add it here and in Grafana's contact point",
    ]
    file.write_text(
        written.replace("secret_file: hmac", "secret_file: hmac, timestamp_header: X-Time").replace(
            "link_key_file: key", "link_key_file: key, url: https://heal.example"
        )
    )
    assert run(file).problems == ()
