"""`show`, `playbooks`, `trust`, tables on a narrow terminal, and the completion that a real bash runs."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.locale import LANGUAGES, catalog
from remediator.model import Reason, State, Verdict
from selfheal.cli import COMMANDS
from selfheal.cli.answers import Screen, cut, fitted, width
from selfheal.cli.completion import SHELLS, words_of
from selfheal.common.shipped import shipped
from tests.cli.conftest import NOW, Home, StoreService, Told, make_alert, make_frozen

FILES = str(shipped("remediator", "playbooks", "shipped") / "*.yml")


@pytest.mark.parametrize("daemon", [False, True], ids=["store", "api"])
def test_show_tells_one_remediation_in_full(home: Home, daemon: bool, request: pytest.FixtureRequest) -> None:
    if daemon:
        request.getfixturevalue("served")

    told = home.selfheal("show", "1")
    found = home.selfheal("show", "1", "--json").json()

    assert told.code == 0
    assert "restart_leaking_worker → web-1/process_group:worker: healed" in told.out
    assert "1. process.terminate  done" in told.out
    assert (found["source"], found["verdict"]) == ("api" if daemon else "store", "fixed")
    assert home.selfheal("show", "99").code == 1


def test_playbooks_are_listed_from_the_files_without_a_daemon(home: Home) -> None:
    home.config.write_text(
        f"state: {home.own}\nhosts: {{web-1: {{instances: [a]}}}}\nplaybooks: ['{FILES}']\nhighest_mode: observe\n"
    )

    told = home.selfheal("playbooks")
    found = home.selfheal("playbooks", "--json").json()

    assert told.code == 0
    assert "No remediator answers" in told.out
    items = {item["name"]: item for item in found["items"]}
    assert (items["restart_service"]["alert"], items["restart_service"]["steps"]) == (
        "ServiceDown",
        ["service.restart"],
    )
    # nothing climbs above highest_mode
    assert {item["mode"] for item in items.values()} == {"observe"}
    assert {item["in_force"] for item in items.values()} == {None}


def test_playbooks_say_what_is_not_in_force_yet_and_what_no_longer_stands_in_the_files(
    home: Home, served: StoreService
) -> None:
    token = "api: {token_file: api.token}\n"
    home.config.write_text(
        f"state: {home.own}\nhosts: {{web-1: {{instances: [a]}}}}\nplaybooks: ['{FILES}']\nhighest_mode: auto\n{token}"
    )
    served.state = {"playbooks": {"restart_service": "auto", "gone": "observe"}}

    told = home.selfheal("playbooks")

    lines = {line.split()[0]: line for line in told.out.splitlines() if line.strip()}
    assert "act alone (auto)" in lines["restart_service"]
    assert "not in force" in lines["reap_zombies"]
    assert "no longer in the files" in lines["gone"]


def test_playbooks_that_cannot_be_read_are_told_with_their_faults(home: Home) -> None:
    (home.config.parent / "bad.yml").write_text("playbook: x\n")
    home.config.write_text(f"state: {home.own}\nhosts: {{web-1: {{instances: [a]}}}}\nplaybooks: [bad.yml]\n")

    told = home.selfheal("playbooks")

    assert told.code == 1
    assert "bad.yml" in told.err


@pytest.mark.parametrize("daemon", [False, True], ids=["store", "api"])
def test_trust_counts_what_was_proven_and_what_was_not(
    home: Home, daemon: bool, request: pytest.FixtureRequest
) -> None:
    def more(tx) -> None:  # type: ignore[no-untyped-def]
        ends = [
            (State.FAILED, None, Reason.STEP_FAILED),
            (State.SUCCEEDED, Verdict.NOT_ASKED, Reason.PROOF_NOT_ASKED),
            (State.SUCCEEDED, Verdict.FIXED, Reason.OUTCOME_UNKNOWN),
            (State.INEFFECTIVE, Verdict.UNPROVEN, Reason.NOT_PROVEN),
        ]
        for number, (state, verdict, reason) in enumerate(ends):
            alert = make_alert("ProcessMemoryLeak", f"more{number}")
            occurrence, _ = tx.open_occurrence(alert, NOW + 60)
            id = tx.add_remediation(occurrence, make_frozen(alert), NOW + 60)
            tx.move(id, State.RUNNING, Reason.ALLOWED, NOW + 60)
            if state is not State.FAILED:
                tx.move(id, State.VERIFYING, Reason.ALLOWED, NOW + 60)
            tx.move(id, state, reason, NOW + 61, verdict=verdict)

    home.store.write(more)
    if daemon:
        request.getfixturevalue("served")

    found = home.selfheal("trust", "--json").json()
    told = home.selfheal("trust")

    (item,) = [each for each in found["items"] if each["playbook"] == "restart_leaking_worker"]
    # proven once; a proof whose effect nobody is sure of, and one that was not asked, are no success of its own
    assert (item["verified"], item["not_proven"], item["other"]) == (1, 2, 3)
    assert item["last_verified_at"] == "2026-01-01T00:00:05.000Z"
    assert (found["counted"], found["all_counted"]) == (6, True)
    assert re.search(r"restart_leaking_worker\s+.*1\s+2\s+2026-01-01 00:00:05 UTC", told.out)


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("worker", 6, "worker"),
        ("worker", 5, "work…"),
        ("복구됨", 6, "복구됨"),
        ("복구됨", 5, "복구…"),
        # a sign of two columns does not fit into one
        ("복구됨", 4, "복…"),
    ],
)
def test_a_cell_is_cut_by_columns_and_says_so(text: str, most: int, expected: str) -> None:
    assert cut(text, most) == expected
    assert width(cut(text, most)) <= most


@pytest.mark.parametrize(
    ("widths", "room", "expected"),
    [
        ([5, 10], 15, [5, 10]),
        ([5, 10], 14, [5, 9]),
        ([30, 40, 5], 40, [17, 18, 5]),
        # nothing readable is left of a column narrower than eight
        ([30, 40, 5], 10, [8, 8, 5]),
    ],
)
def test_the_widest_columns_give_way(widths: list[int], room: int, expected: list[int]) -> None:
    found = fitted(widths, room)

    assert sorted(found) == sorted(expected)
    assert found[2:] == expected[2:]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_of_a_table_is_wider_than_the_terminal(
    home: Home, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    master, slave = pty.openpty()
    texts = catalog(language)
    rows: list[list[tuple[object, str]]] = [
        [(f"{n}", ""), (texts.say("reason.template_refused"), ""), (texts.say("verdict.fixed"), "")] for n in range(3)
    ]
    with os.fdopen(slave, "w", encoding="utf-8") as out:
        Screen(out).table(rows)
        out.flush()
        parts = []
        # a terminal gives what it has got, not what was asked for
        while b"".join(parts).count(b"\n") < len(rows):
            parts.append(os.read(master, 65_536))
    os.close(master)
    shown = b"".join(parts).decode()

    lines = [line.rstrip("\r") for line in shown.split("\n") if line.strip()]
    assert len(lines) == 3
    assert all(width(line) <= 60 for line in lines)
    assert all("…" in line for line in lines)


def complete(script: str, *words: str) -> set[str]:
    """Ask a real bash what it offers for the last of the words."""
    line = " ".join(f"'{word}'" for word in words)
    asked = f'{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _selfheal; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", asked], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()) - {""}


def test_a_real_bash_completes_commands_flags_and_values(say: Callable[..., Told], tmp_path: Path) -> None:
    script = say("completion", "bash", "--lang", "en").out
    file = tmp_path / "a file.yml"
    file.touch()

    assert complete(script, "selfheal", "") == {*COMMANDS, "--help", "--version"}
    assert complete(script, "selfheal", "sh") == {"show"}
    assert complete(script, "selfheal", "audit", "") >= {"verify", "export", "--from", "--json", "--help"}
    assert complete(script, "selfheal", "audit", "v") == {"verify"}
    assert complete(script, "selfheal", "runs", "--in", "suc") == {"succeeded"}
    assert complete(script, "selfheal", "settle", "17", "--as", "") == {"done", "not-done", "give-up"}
    assert complete(script, "selfheal", "status", "--config.file", f"{tmp_path}/a") == {str(file)}
    # a value that cannot be known offers nothing, least of all flags
    assert complete(script, "selfheal", "pause", "--why", "") == set()
    assert complete(script, "selfheal", "nonsense", "") == set()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_and_flag_is_in_every_script(say: Callable[..., Told], shell: str, language: str) -> None:
    told = say("completion", shell, "--lang", language)
    texts = catalog(language)

    assert told.code == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", told.out)
        for word in words_of(command, texts)[0]:
            flag = word.flags[-1]
            assert (f"-l {flag[2:]}" if shell == "fish" and flag.startswith("--") else flag) in told.out
    if shell != "bash":
        # quotes that do not close would swallow the rest of the script
        assert all(line.count("'") % 2 == 0 for line in told.out.splitlines())
        assert texts.say("cli.audit.summary") in told.out
