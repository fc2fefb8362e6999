"""A person's word over the API and the command line: who may say it, that it counts once, and what is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.rig import until
from remediator import address
from remediator.model import Mode
from remediator.store import Tx
from selfheal.cli import main
from selfheal.common.keys import Role
from tests.web.program import Program, running

PROVING = """playbook: proving
title: {en: Proving, ko: 입증}
trigger: {alert: Sick}
target: {host: "{{ $labels.instance }}", item: all}
steps: [{action: notify.log, with: {message: sick}}]
verify: {healthy_for: 0s, within: 1m, watch: 0s}
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with running(tmp_path) as found:
        (tmp_path / "playbooks" / "on_alert.yml").write_text(PROVING, "utf-8")
        found.app.reload()
        # which versions are in force is stored by a turn of its own
        until(lambda: "proving" in versions(found))
        yield found


def versions(program: Program) -> Mapping[str, str]:
    with program.app.store.read() as reader:
        return reader.versions()


@pytest.fixture
def say(program: Program, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command line against the program, or against its store once it has stopped."""
    config = program.folder / "remediator.yml"
    token = program.folder / "cli.token"
    token.write_text(program.keys[Role.ADMIN] + "\n")
    token.chmod(0o600)
    place = program.folder / "place.yml"
    written = config.read_text("utf-8").replace("api: {keys_file: api.keys}", "api: {token_file: cli.token}")
    place.write_text(written, "utf-8")

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main([words[0], "--config.file", str(place), "--lang", "en", *words[1:]])
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


def has_earned(program: Program, judged: int = 40) -> str:
    """Give the playbook the evidence for a promotion; return its digest."""
    (digest,) = [each.digest for each in program.app.parts.playbooks() if each.name == "proving"]
    now = program.app.clock.now()

    def store(tx: Tx) -> None:
        tx._run(
            "set_trust_evidence", playbook="proving", digest=digest, rung=Mode.OBSERVE, judged=judged,
            succeeded=judged, first_at=now - 8 * 86_400, last_at=now, recent="11111",
        )  # fmt: skip

    program.app.store.write(store)
    return digest


@pytest.mark.parametrize("role", list(Role))
def test_only_an_admin_promotes_and_an_operator_may_demote(program: Program, role: Role) -> None:
    has_earned(program)
    promoted = program.ask("POST", "/trust/proving/promote", {"why": "two good weeks"}, role)
    program.ask("POST", "/trust/proving/promote", {"why": "two good weeks"}, Role.ADMIN)
    demoted = program.ask("POST", "/trust/proving/demote", {"why": "careful"}, role)

    assert promoted.status == (200 if role is Role.ADMIN else 403)
    assert demoted.status == (403 if role is Role.VIEWER else 200)
    assert program.ask("GET", "/trust/proving", role=role).status == 200


def test_a_promotion_is_kept_with_who_and_why_and_counts_once(program: Program) -> None:
    digest = has_earned(program)
    body = {"why": "two good weeks", "who": "kim"}
    first, again = (program.ask("POST", "/trust/proving/promote", body, Idempotency_Key="p") for _ in range(2))

    assert (first.status, first.body) == (again.status, again.body)
    found = first.json()
    assert (found["mode"], found["written_mode"], found["next"]) == ("approve", "observe", "auto")
    assert "kim" in found["who"]
    entries = program.ask("GET", "/audit?limit=500").json()["items"]
    (promoted,) = [each for each in entries if each["kind"] == "promoted"]
    assert (promoted["from"], promoted["to"]) == ("observe", "approve")
    assert promoted["detail"] | {"who": ""} == {
        "playbook": "proving", "digest": digest, "who": "", "why": "two good weeks", "judged": 40, "succeeded": 40,
        "lower_bound": 0.9124, "days": 8.0,
    }  # fmt: skip
    assert program.ask("GET", "/audit/verify").json()["ok"] is True
    assert program.ask("GET", "/playbooks/proving").json()["mode"] == "approve"


@pytest.mark.parametrize("judged", [0, 19])
def test_what_is_not_earned_is_a_conflict_that_says_what_is_missing(program: Program, judged: int) -> None:
    if judged:
        has_earned(program, judged)
    answer = program.ask("POST", "/trust/proving/promote", {"why": "please"})

    assert answer.status == 409
    assert f"proving stays in mode observe: {judged} of 20 judged runs" in answer.json()["detail"]


def test_a_reason_is_needed_and_the_playbook_must_be_there(program: Program) -> None:
    assert program.ask("POST", "/trust/proving/promote", {}).status == 400
    assert program.ask("POST", "/trust/nothing/promote", {"why": "x"}).status == 404
    assert program.ask("GET", "/trust/nothing").status == 404
    assert [each["playbook"] for each in program.ask("GET", "/trust").json()["items"]] == ["by_hand", "proving"]


def test_the_command_line_shows_promotes_and_demotes(program: Program, say: Callable[..., tuple[int, str]]) -> None:
    token_ok, listed = say("trust")
    if token_ok != 0:
        pytest.fail(listed)
    assert re.search(r"proving\s+observe only \(observe\).*ask first \(approve\): too few judged runs", listed), listed
    assert "highest mode" in listed

    code, refused = say("trust", "promote", "proving", "--why", "please")
    assert code == 1
    assert "0 of 20 judged runs" in refused
    has_earned(program)
    assert "selfheal trust promote proving" in say("trust")[1]
    assert say("trust", "promote", "proving", "--why", "good weeks")[0] == 0
    code, shown = say("trust", "show", "proving")
    assert code == 0
    assert "good weeks" in shown
    assert "0 of 20 judged runs over 0.0 of 7 days" in shown
    code, told = say("trust", "demote", "proving", "--why", "careful", "--json")
    assert (code, json.loads(told)["mode"]) == (0, "observe")


def test_what_is_missing_on_the_command_line_is_said(say: Callable[..., tuple[int, str]]) -> None:
    for words in (("promote",), ("show",), ("promote", "proving"), ("demote", "proving", "--why", " ")):
        code, told = say("trust", *words)
        assert code == 2
        assert "name the playbook" in told or "say why" in told


def test_without_the_remediator_a_mode_that_only_the_file_says_is_not_guessed(
    program: Program, say: Callable[..., tuple[int, str]]
) -> None:
    has_earned(program)
    address.clear(program.app.config.state)

    code, told = say("trust", "show", "proving", "--lang", "en")

    assert code == 0
    assert "mode: as its file says" in told
    assert "(approve)" not in told


def test_without_the_remediator_its_store_tells(program: Program, say: Callable[..., tuple[int, str]]) -> None:
    has_earned(program)
    program.ask("POST", "/trust/proving/promote", {"why": "good weeks"})
    # as after a kill: its store is left, and nobody answers
    address.clear(program.app.config.state)
    code, told = say("trust", "show", "proving", "--json")

    assert code == 0
    (item,) = json.loads(told)["items"]
    assert json.loads(told)["source"] == "store"
    assert (item["trust"]["mode"], item["trust"]["why"]) == ("approve", "good weeks")
