"""The texts: equal keys and placeholders in both languages, every member of a closed set, every key that code uses."""

from __future__ import annotations

import ast
import re
import string
from enum import StrEnum
from pathlib import Path

import pytest

from remediator.guards import GUARDS
from remediator.judge import Proof
from remediator.locale import LANGUAGES, catalog, pick_language
from remediator.locale.words import fate, item, last_decision, moment, why, word
from remediator.model import Answer, BreakerState, Mode, Reason, State, StepState, Verdict
from remediator.model.trust import Missing
from remediator.store.chain import Break
from selfheal.cli import COMMANDS, OWN_PARSER
from selfheal.common.shipped import shipped

ENGLISH, KOREAN = catalog("en"), catalog("ko")
SETS: dict[str, type[StrEnum]] = {
    "state": State,
    "step": StepState,
    "mode": Mode,
    "verdict": Verdict,
    "breaker_state": BreakerState,
    "answer": Answer,
    "reason": Reason,
    "proof": Proof,
    "audit": Break,
    "trust_missing": Missing,
}
KEYS = sorted(ENGLISH.keys())


def placeholders(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}


def test_both_languages_have_the_same_keys() -> None:
    assert ENGLISH.keys() == KOREAN.keys()


@pytest.mark.parametrize("key", KEYS)
def test_both_languages_have_the_same_placeholders_and_say_something(key: str) -> None:
    english, korean = ENGLISH._texts[key], KOREAN._texts[key]

    assert placeholders(english) == placeholders(korean)
    assert english.strip()
    assert korean.strip()


def test_korean_is_korean() -> None:
    same = {key for key in KEYS if not re.search("[가-힣]", KOREAN._texts[key])}

    # what is a name, a pattern of placeholders or a command line stays as it is
    assert {key for key in same if not key.endswith(".examples")} <= {
        "item.command",
        "item.reference",
        "cli.why.fingerprint",
        "up.remediation",
    }


@pytest.mark.parametrize("group", sorted(SETS))
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_member_of_a_closed_set_has_its_words_and_no_more(group: str, language: str) -> None:
    keys = sorted(catalog(language).keys())
    found = {key.removeprefix(f"{group}.") for key in keys if key.startswith(f"{group}.")}

    assert found == set(SETS[group])


def test_every_guard_has_its_words() -> None:
    found = {key.removeprefix("guard.") for key in KEYS if key.startswith("guard.")}

    assert found == {guard.name for guard in GUARDS} | {"all"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - OWN_PARSER))
def test_every_command_has_its_help(name: str) -> None:
    for part in ("summary", "description", "examples"):
        assert ENGLISH.say(f"cli.{name}.{part}")


def literals(path: Path) -> set[str]:
    """Return the first arguments of `say(...)` calls and all dotted texts that begin like a key."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) == "say"
            and node.args
        ):
            first = node.args[0]
            choices = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
            found |= {each.value for each in choices if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found


def test_every_key_that_code_and_templates_use_exists() -> None:
    used: set[str] = set()
    for folder in ("remediator", "selfheal"):
        for path in sorted(Path(shipped(folder)).rglob("*.py")):
            used |= literals(path)
    for path in sorted(Path(shipped("remediator", "web", "templates")).glob("*.html")):
        used |= set(re.findall(r"""say\(["']([\w.]+)["'][,)]""", path.read_text("utf-8")))

    assert "page.wrong_now" in used
    assert "cli.no_run" in used
    assert used <= ENGLISH.keys()


def test_every_text_of_page_and_commands_is_used() -> None:
    sources = [path for folder in ("remediator", "selfheal") for path in sorted(Path(shipped(folder)).rglob("*.py"))]
    sources += sorted(Path(shipped("remediator", "web", "templates")).glob("*.html"))
    everything = "\n".join(path.read_text("utf-8") for path in sources)
    built = {f"cli.{name}.{part}" for name in COMMANDS for part in ("summary", "description", "examples")}
    built |= {"cli.check.error", "cli.check.warning"}
    built |= {f"page.{key}" for key in ("created_at", "started_at", "verified_at", "ended_at")}

    keys = {key for key in KEYS if key.startswith(("page.", "cli."))}

    assert {key for key in keys - built if key not in everything} == set()


@pytest.mark.parametrize(
    ("wanted", "environment", "expected"),
    [
        ("ko", {"LANG": "en_US.UTF-8"}, "ko"),
        (None, {"LANG": "ko_KR.UTF-8"}, "ko"),
        (None, {"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, "en"),
        (None, {"LC_ALL": "", "LANG": "ko"}, "ko"),
        (None, {}, "en"),
    ],
)
def test_the_language_is_the_asked_one_else_the_locales(
    wanted: str | None, environment: dict[str, str], expected: str
) -> None:
    assert pick_language(wanted, environment) == expected


def test_a_language_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="there are: en, ko"):
        catalog("de")


def test_values_become_words_and_unknown_ones_stay() -> None:
    assert word(ENGLISH, "state", "held") == "held back"
    assert word(ENGLISH, "state", "new_in_a_later_version") == "new_in_a_later_version"
    assert word(ENGLISH, "reason", None) == ""
    assert fate(ENGLISH, {"fate": None}) == "waiting to be decided"
    assert fate(ENGLISH, {"fate": "human_only"}) == "left to people"
    assert fate(ENGLISH, {"fate": "failed"}) == "failed"
    assert fate(ENGLISH, {"fate": "{braces}"}) == "{braces}"


def test_items_and_times_are_worded() -> None:
    assert item(ENGLISH, {"kind": "process", "pid": 7, "group": "{evil}"}) == "process 7 of {evil}"
    assert item(ENGLISH, {"kind": "file", "path": "/a"}) == "file /a"
    assert item(ENGLISH, {"kind": "command", "service": "web", "verb": "start"}) == "start web"
    assert item(ENGLISH, {"kind": "memory", "unit": "web.service", "bytes": 7}) == "7 bytes of memory of web.service"
    assert item(ENGLISH, {"kind": "memory", "name": "page cache", "bytes": 7}) == "7 bytes of memory of page cache"
    assert item(ENGLISH, {"kind": "command", "command": "tidy {x}", "parameters": {}}) == "command tidy {x}"
    request = {"kind": "request", "method": "POST", "url": "http://127.0.0.1:1/a?token=secret"}
    assert item(ENGLISH, request) == "POST http://127.0.0.1:1/a"
    assert item(ENGLISH, {"kind": "ansible", "playbook": "p", "host": "h"}) == "Ansible playbook p on h"
    assert item(ENGLISH, {"kind": "ansible", "playbook": "p"}) == "Ansible playbook p"
    assert item(ENGLISH, {"kind": "silence", "seconds": 1800.0, "id": "x"}) == "a silence of 30m"
    assert item(ENGLISH, {"kind": "silence", "id": "x"}) == "the end of silence x"
    assert item(ENGLISH, {"kind": "mark", "text": "{evil}"}) == "mark: {evil}"
    assert item(ENGLISH, {"kind": "moon"}) == "moon"
    assert moment("2026-01-01T02:03:04.567Z") == "2026-01-01 02:03:04 UTC"
    assert moment(None) == ""


def test_the_last_decision_is_the_one_with_the_last_time() -> None:
    decisions = [{"at": "1", "guard": "a"}, {"at": "1", "guard": "b"}, {"at": "2", "guard": "a"}]

    assert last_decision(decisions) == ([{"at": "2", "guard": "a"}], 1)
    assert last_decision([]) == ([], 0)


def test_what_runs_again_is_not_told_with_the_verdict_of_the_look_before() -> None:
    run = {"verdict": Verdict.UNPROVEN, "reason": Reason.SETTLED_NOT_DONE}

    assert why(ENGLISH, run | {"state": State.RUNNING}) == ENGLISH.say("reason.settled_not_done")
    assert why(ENGLISH, run | {"state": State.UNKNOWN}) == ENGLISH.say("verdict.unproven")
