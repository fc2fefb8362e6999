"""The commands against a real store and the real API: what they tell, in text and in JSON."""

from __future__ import annotations

import io
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remediator import address, pause
from remediator.judge import Why
from remediator.locale import catalog
from remediator.locale.words import fate
from selfheal.cli.answers import Screen, clean, width
from selfheal.cli.story import tell_remediation
from selfheal.common.clock import from_rfc3339
from tests.cli.conftest import EVIL, NOW, Home, StoreService, Told
from tests.web.site import RUN

STORY_RUN: dict[str, Any] = RUN | {"decisions": [], "steps": [], "evidence": [], "events": []}
STORY = "this is what its store in"


def test_status_tells_what_is_wrong_and_under_way_from_the_store_and_says_so(home: Home) -> None:
    told = home.selfheal("status")

    assert told.code == 0
    assert told.out.startswith(f"The remediator does not answer; this is what its store in {home.own} says.")
    for expected in ("DiskFilling", "no playbook matches", "outcome not known", "act alone", "healed: 1"):
        assert expected in told.out
    assert "ProcessMemoryLeak" not in told.out


def test_status_from_the_running_remediator_does_not_mention_the_store(home: Home, served: StoreService) -> None:
    served.state = {"blind": ["prometheus"], "paused": {"who": "kim", "why": "x", "until": None, "hard": False}}

    told = home.selfheal("status")

    assert told.code == 0
    assert STORY not in told.out
    assert "no usable answer from prometheus" in told.out
    assert "By kim: x." in told.out


def test_status_as_json_has_what_the_api_says_and_who_said_it(home: Home, served: StoreService) -> None:
    found = home.selfheal("status", "--json").json()

    assert (found["source"], found["highest_mode"], found["paused"]) == ("api", "observe", None)
    assert [alert["alertname"] for alert in found["wrong"]] == ["DiskFilling", "ServiceDown"]
    assert [run["state"] for run in found["under_way"]] == ["unknown"]


def test_status_as_json_from_the_store_knows_the_pause_too(home: Home) -> None:
    home.selfheal("pause", "--why", "migration", "--who", "kim")

    found = home.selfheal("status", "--json").json()

    assert found["source"] == "store"
    assert {state: count for state, count in found["counts"].items() if count} == {"succeeded": 1, "unknown": 1}
    assert found["paused"] == {"who": "kim", "why": "migration", "until": None, "hard": False}


@pytest.mark.parametrize("daemon", [False, True], ids=["store", "api"])
def test_why_lists_the_last_alerts_with_fate_and_reason(
    home: Home, daemon: bool, request: pytest.FixtureRequest
) -> None:
    if daemon:
        request.getfixturevalue("served")

    told = home.selfheal("why")

    assert told.code == 0
    lines = [line for line in told.out.splitlines() if "UTC" in line]
    assert ["DiskFilling" in lines[0], "unreadable" in lines[1], "ServiceDown" in lines[2]] == [True] * 3
    assert "no playbook" in lines[0]
    assert "healed" in lines[3]


@pytest.mark.parametrize("what", ["ProcessMemoryLeak", "aaaaaaaaaaaaaaaa", "1"])
@pytest.mark.parametrize("daemon", [False, True], ids=["store", "api"])
def test_why_tells_every_guards_answer_steps_evidence_and_verdict(
    home: Home, what: str, daemon: bool, request: pytest.FixtureRequest
) -> None:
    if daemon:
        request.getfixturevalue("served")

    told = home.selfheal("why", what)

    assert told.code == 0
    for expected in (
        "ProcessMemoryLeak",
        "aaaaaaaaaaaaaaaa",
        "Remediation 1",
        "restart_leaking_worker → web-1/process_group:worker: healed",
        "fixed, proven on fresh samples",
        "What the guards said (2026-01-01 00:00:01 UTC)",
        "Earlier decisions: 1;",
        "1. process.terminate  done",
        "Planned: process 4242 of worker",
        "Touched: process 4242 of worker",
        "after the action",
        "Healthy  yes",
        "it stayed healthy while being watched",
    ):
        assert expected in told.out


@pytest.mark.parametrize(
    ("healthy", "asked", "left"),
    [(True, 2, "1 more questions; --json has all"), (False, 3, "")],
    ids=["proven", "not proven"],
)
def test_a_proof_is_told_in_words_and_what_is_missing_with_every_question(healthy: bool, asked: int, left: str) -> None:
    readings = [{"query": f"up == {number}", "answer": "0 series"} for number in range(3)]
    judged = {"value": "false" if healthy else "unknown", "why": "proven", "newest": None, "readings": readings}
    why = "proven" if healthy else "window_open"
    body = {"healthy": healthy, "alive": True, "why": why, "end": NOW, "last_sample": NOW + 4, "rule": judged}
    out = io.StringIO()

    tell_remediation(
        Screen(out), STORY_RUN | {"evidence": [{"at": None, "phase": "after", "body": body}]}, catalog("en")
    )

    text = out.getvalue()
    assert ("Healthy        yes" in text, "Healthy        not known" in text) == (healthy, not healthy)
    assert "Effects ended  2026-01-01 00:00:00 UTC" in text
    assert text.count("Asked: up == ") == asked
    assert left in text
    assert "{" not in text


def test_what_was_touched_stands_one_below_the_other_and_a_reason_is_not_repeated() -> None:
    files = [{"kind": "file", "path": f"/tmp/{number}"} for number in range(12)]
    step = {"position": 0, "action": "disk.clean", "state": "done", "intent_at": None, "plan": {"items": files}}
    moves = [("running", "allowed"), ("verifying", "allowed"), ("watching", "proven")]
    events = [{"at": None, "kind": "moved", "from": None, "to": to, "reason": reason} for to, reason in moves]
    run = STORY_RUN | {"steps": [step | {"outcome": {"effects": files[:1]}}], "events": events}
    out = io.StringIO()

    tell_remediation(Screen(out), run, catalog("en"))

    lines = out.getvalue().splitlines()
    first = lines.index("     Planned:")
    assert lines[first + 1 : first + 12] == [*(f"       file /tmp/{n}" for n in range(10)), "       and 2 more"]
    assert lines[first + 12] == "     Touched: file /tmp/0"
    assert sum("every guard agreed" in line for line in lines) == 1


def test_an_alert_whose_remediation_is_not_over_is_not_called_undecided() -> None:
    open_run = {"fate": None, "remediation_id": "3"}

    assert fate(catalog("en"), open_run) == "remediation 3 is not over"
    assert fate(catalog("en"), open_run | {"remediation_id": None}) == "waiting to be decided"


def test_every_judgement_has_its_words() -> None:
    keys = {key for key in sorted(catalog("en").keys()) if key.startswith("judgement.")}

    assert keys == {f"judgement.{why}" for why in Why}


def test_why_of_an_alert_without_a_remediation_gives_the_reason(home: Home) -> None:
    told = home.selfheal("why", "DiskFilling")

    assert told.code == 0
    assert "no playbook matches" in told.out
    assert "Remediation" not in told.out


def test_why_as_json_holds_alert_and_remediation_in_full(home: Home) -> None:
    found = home.selfheal("why", "aaaaaaaaaaaaaaaa", "--json").json()

    assert found["alert"]["remediation_id"] == found["remediation"]["id"] == "1"
    assert [each["guard"] for each in found["remediation"]["decisions"]] == ["pause", "cooldown", "pause"]


@pytest.mark.parametrize("what", ["Nothing", "9", "dddddddddddddddd", "", "-", "../x", "1" * 400])
def test_why_of_something_unknown_says_what_to_give(home: Home, what: str) -> None:
    told = home.selfheal("why", what)

    assert told.code == 1
    assert "give an alert's name, its fingerprint or the number of a remediation" in told.err
    assert "Traceback" not in told.err


def test_runs_lists_and_filters_and_shows_one(home: Home, served: StoreService) -> None:
    everything, unknown = home.selfheal("runs"), home.selfheal("runs", "--in", "unknown", "--json")
    one = home.selfheal("runs", "1")

    assert [line.split()[0] for line in everything.out.splitlines()] == ["No.", "2", "1"]
    assert [run["id"] for run in unknown.json()["items"]] == ["2"]
    assert "process 4242 of worker" in one.out


def test_runs_of_an_unknown_number_fails(home: Home) -> None:
    told = home.selfheal("runs", "99", "--json")

    assert (told.code, told.json()) == (1, {"error": "there is no remediation 99"})


def test_pause_works_without_a_daemon_and_resume_ends_it(home: Home) -> None:
    paused = home.selfheal("pause", "--why", "migration", "--who", "kim", "--hard")
    found = pause.read(home.own / pause.NAME, 0.0)
    resumed, again = home.selfheal("resume"), home.selfheal("resume")

    assert paused.code == resumed.code == again.code == 0
    assert found is not None
    assert (found.who, found.why, found.hard, found.until) == ("kim", "migration", True, None)
    assert "Paused; selfheal resume ends it." in paused.out
    assert resumed.out == "Resumed.\n"
    assert again.out == "Nothing was paused.\n"
    assert pause.read(home.own / pause.NAME, 0.0) is None


def test_pausing_a_playbook_that_nobody_has_is_said(home: Home, served: StoreService) -> None:
    names = ("restart_leaking_worker", "restart_wroker")
    known, unknown = (home.selfheal("pause", "--playbook", name) for name in names)

    assert "No playbook in force is called restart_wroker" in unknown.out
    assert "No playbook" not in known.out
    assert unknown.code == 0


def test_a_playbook_or_a_target_is_paused_alone_and_every_pause_is_shown(home: Home) -> None:
    home.selfheal("pause", "--why", "all of it", "--who", "kim", "--for", "2h")
    told = home.selfheal("pause", "--playbook", "restart_service", "--who", "lee")
    home.selfheal("pause", "--target", "web-1/service:a shop", "--who", "max", "--hard")
    home.selfheal("pause", "--playbook", "heal", "--target", "web-1/service:shop", "--who", "ann")
    (home.own / pause.FOLDER / "what is this").touch()

    shown = home.selfheal("status").out.splitlines()
    found = home.selfheal("status", "--json").json()

    assert told.out == "Paused; selfheal resume --playbook restart_service ends it.\n"
    lines = [line for line in shown if "paused" in line]
    assert lines[0].startswith("Remediation is paused. By kim: all of it. Until 20")
    assert lines[1:] == [
        "Playbook heal is paused on web-1/service:shop. By ann: -.",
        "Playbook restart_service is paused. By lee: -.",
        "Target web-1/service:a shop is paused. By max: -. Steps that always run are stopped too.",
        "Remediation is paused. By ?: the pause file cannot be read. (file pause.d/what is this)",
    ]
    assert found["paused"]["who"] == ""
    assert [(each["playbook"], each["target"], each["who"]) for each in found["pauses"]] == [
        ("", "", "kim"),
        ("heal", "web-1/service:shop", "ann"),
        ("restart_service", "", "lee"),
        ("", "web-1/service:a shop", "max"),
        ("", "", ""),
    ]


def test_resume_ends_exactly_the_pause_that_is_named_and_says_what_is_left(home: Home) -> None:
    home.selfheal("pause", "--who", "kim")
    home.selfheal("pause", "--playbook", "heal", "--who", "kim")

    other = home.selfheal("resume", "--playbook", "other")
    heal = home.selfheal("resume", "--playbook", "heal", "--who", "lee", "--json").json()

    assert other.out.splitlines() == [
        "Nothing was paused.",
        "Remediation is paused. By kim: -.",
        "Playbook heal is paused. By kim: -.",
    ]
    assert (heal["was_paused"], heal["paused"]["who"], len(heal["pauses"])) == (True, "kim", 1)
    assert pause.signed(home.own) == {"pause.d/playbook=heal": "lee"}


def test_resume_of_all_ends_what_nobody_can_read_too(home: Home) -> None:
    home.selfheal("pause", "--target", "web-1/service:shop")
    (home.own / pause.FOLDER / "?").write_text("{")

    told = home.selfheal("resume", "--all")

    assert told.out == "Resumed.\n"
    assert pause.read_all(home.own, 0.0) == {}


@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize("words", [("--playbook", "Heal It"), ("--target", "web-1")])
def test_what_is_no_playbook_or_target_is_refused(home: Home, command: str, words: tuple[str, str]) -> None:
    told = home.selfheal(command, *words)

    assert told.code == 2
    assert "; use small letters" in told.err or "; write HOST/KIND:NAME" in told.err
    assert pause.read_all(home.own, 0.0) == {}


def test_a_pause_can_end_by_itself(home: Home) -> None:
    found = home.selfheal("pause", "--for", "2h", "--json").json()["paused"]
    read = pause.read(home.own / pause.NAME, 0.0)

    assert read is not None
    assert read.until is not None
    assert abs(from_rfc3339(found["until"]) - read.until) < 0.001
    assert found["hard"] is False


def test_pause_works_with_a_broken_configuration_when_the_state_is_named(home: Home) -> None:
    home.config.write_text("state: [\n")

    refused = home.selfheal("pause")
    told = home.say("pause", "--config.file", str(home.config), "--state", str(home.own), "--lang", "en")

    assert (refused.code, told.code) == (3, 0)
    assert "give the state folder with --state" in refused.err
    assert pause.read(home.own / pause.NAME, 0.0) is not None


@pytest.mark.parametrize("span", ["", "soon", "-5m", "0s", "5"])
def test_a_pause_of_no_time_is_refused(home: Home, span: str) -> None:
    told = home.selfheal("pause", f"--for={span}")

    assert told.code == 2
    assert pause.read(home.own / pause.NAME, 0.0) is None


def test_settle_needs_the_daemon(home: Home) -> None:
    told = home.selfheal("settle", "2", "--as", "done")

    assert told.code == 3
    assert "no running remediator answers" in told.err


@pytest.mark.parametrize("how", ["done", "not-done", "give-up"])
def test_settle_tells_the_daemon_what_became_of_it(home: Home, served: StoreService, how: str) -> None:
    told = home.selfheal("settle", "2", "--as", how, "--who", "kim")

    assert told.code == 0
    assert served.settled == [(2, how, "kim")]
    assert told.out.splitlines() == [
        "Remediation 2: outcome not known, a person must settle it",
        "Taken. It goes on from there at once; selfheal show tells how.",
    ]


def test_settle_says_why_it_was_refused(home: Home, served: StoreService) -> None:
    served.not_unknown = True

    assert "not waiting to be settled" in home.selfheal("settle", "2", "--as", "done").err
    assert home.selfheal("settle", "99", "--as", "done").err == "selfheal: there is no remediation 99\n"
    assert home.selfheal("settle", "2").code == 2


def test_a_refused_token_is_told_with_the_reason(home: Home, served: StoreService) -> None:
    (home.config.parent / "api.token").write_text("another-token-of-24-letters\n")
    refused = home.selfheal("status")
    (home.config.parent / "api.token").chmod(0o644)
    open_to_all = home.selfheal("status", "--json")

    assert (refused.code, open_to_all.code) == (1, 1)
    assert "the remediator refused the API's token" in refused.err
    assert "chmod 600" in open_to_all.json()["error"]
    assert "another-token" not in refused.err + open_to_all.out


def test_a_hung_daemon_is_passed_over_and_the_store_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfheal.cli.source.TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address.write(home.own, f"http://127.0.0.1:{mute.getsockname()[1]}")

        told = home.selfheal("status")

    assert told.code == 0
    assert STORY in told.out


def test_a_stale_address_and_a_stranger_behind_it_are_passed_over(home: Home) -> None:
    address.write(home.own, "http://127.0.0.1:1")
    stale = home.selfheal("status")
    (home.own / address.NAME).write_text("ftp://elsewhere\n")
    strange = home.selfheal("status")

    assert stale.code == strange.code == 0
    assert STORY in stale.out
    assert STORY in strange.out


def test_nothing_to_ask_says_what_to_give(tmp_path: Path, say: Callable[..., Told]) -> None:
    empty = say("status", "--state", str(tmp_path), "--lang", "en")
    missing = say("why", "--config.file", str(tmp_path / "none.yml"), "--lang", "en", "--json")

    assert (empty.code, missing.code) == (3, 3)
    assert "give --config.file or --state" in empty.err
    assert "none.yml is not there" in missing.json()["error"]


def test_a_configuration_whose_remediator_never_ran_says_so(tmp_path: Path, say: Callable[..., Told]) -> None:
    config = tmp_path / "remediator.yml"
    config.write_text("state: here\n")

    told = say("status", "--config.file", str(config), "--lang", "en")

    assert told.code == 3
    assert "the remediator has never run there" in told.err


def test_a_broken_store_is_told_and_not_traced(home: Home) -> None:
    home.store.close()
    for name in ("selfheal.db", "selfheal.db-wal", "selfheal.db-shm"):
        path = home.own / name
        if path.exists():
            path.write_bytes(b"no database at all" * 100)

    told = home.selfheal("status")

    assert told.code == 3
    assert "cannot be read" in told.err
    assert "Traceback" not in told.err


def test_the_demos_folder_is_found_below_the_state_folder(home: Home, say: Callable[..., Told]) -> None:
    above = home.state.parent / "above"
    above.mkdir()
    home.state.rename(above / "demo")
    moved = above / "demo" / "config" / "remediator.yml"
    moved.write_text(f"state: {above / 'demo' / 'remediator'}\n")

    told = say("status", "--state", str(above), "--json", "--lang", "en")

    assert told.json()["state_folder"] == str(above / "demo" / "remediator")


def test_hostile_labels_cannot_steer_the_terminal(home: Home) -> None:
    for words in (("why", "ServiceDown"), ("why",), ("status",), ("runs", "2")):
        told = home.selfheal(*words)
        assert told.code == 0
        assert not [sign for sign in told.out if sign in "\x1b\x07\u202e"]
    assert "\\x1b[31m" in clean(EVIL)


def test_korean_is_spoken_by_flag_variable_and_locale(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    by_flag = home.selfheal("status", "--lang", "ko").out
    monkeypatch.setenv("SELFHEAL_LANG", "ko")
    by_variable = home.say("status", "--state", str(home.state)).out
    monkeypatch.setenv("SELFHEAL_LANG", "")
    monkeypatch.setenv("LANG", "ko_KR.UTF-8")
    by_locale = home.say("status", "--state", str(home.state)).out

    assert by_flag == by_variable == by_locale
    assert "지금의 문제" in by_flag


def test_flags_can_be_set_by_variables(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_STATE", str(home.state))
    monkeypatch.setenv("SELFHEAL_JSON", "1")

    assert home.say("runs").json()["items"][0]["id"] == "2"


def test_columns_line_up_in_korean_too() -> None:
    out = io.StringIO()

    Screen(out).table([[("가나", ""), ("x", "")], [("abcd", ""), ("y", "")]])

    lines = out.getvalue().splitlines()
    assert width(lines[0]) == width(lines[1]) == 2 + 4 + 2 + 1


def in_a_terminal(home: Home, **environment: str) -> str:
    near, far = pty.openpty()
    command = [sys.executable, "-m", "selfheal.cli", "status", "--state", str(home.state), "--lang", "en"]
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(command, stdout=far, stderr=far, env=kept | {"TERM": "xterm"} | environment)
    os.close(far)
    parts = []
    try:
        while part := os.read(near, 65536):
            parts.append(part)
    except OSError:
        pass  # a pty whose other end has gone answers with an error
    finally:
        os.close(near)
    assert process.wait(20) == 0
    return b"".join(parts).decode()


def test_colours_only_on_a_terminal(home: Home) -> None:
    assert "\x1b[" in in_a_terminal(home)
    assert "\x1b[" not in in_a_terminal(home, NO_COLOR="1")
    assert "\x1b[" not in in_a_terminal(home, TERM="dumb")
    assert "\x1b[" not in home.selfheal("status").out


def test_a_reader_that_has_seen_enough_is_no_error(home: Home) -> None:
    command = [sys.executable, "-m", "selfheal.cli", "why", "1", "--state", str(home.state)]
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=30, check=False)

    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


def test_check_tells_everything_at_once_and_fails(tmp_path: Path, say: Callable[..., Told]) -> None:
    config = tmp_path / "remediator.yml"
    config.write_text("state: here\nunknown_key: 1\nhighest_mode: maybe\n")

    told = say("check", "--config.file", str(config), "--lang", "en")
    as_json: Any = say("check", "--config.file", str(config), "--json")

    assert told.code == as_json.code == 1
    assert told.out.count("error: ") >= 2
    assert "unknown_key" in told.out
    assert as_json.json()["ok"] is False


def test_serve_wants_its_configuration_named(say: Callable[..., Told]) -> None:
    told = say("serve", "--lang", "en")

    assert told.code == 3
    assert "selfheal serve --config.file FILE" in told.err


def test_serve_runs_the_daemon_which_tells_what_is_wrong_with_its_configuration(
    tmp_path: Path, say: Callable[..., Told]
) -> None:
    config = tmp_path / "remediator.yml"
    config.write_text("unknown_key: 1\n")
    command = [sys.executable, "-m", "selfheal.cli", "serve", "--config.file", str(config)]

    done = subprocess.run(command, capture_output=True, timeout=30, check=False)

    assert done.returncode == 1
    assert b"unknown_key" in done.stderr
    assert b"Traceback" not in done.stderr
