"""What `selfheal up` says when it cannot start: one reason with its remedy, in the form that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selfheal.cli.place import DEFAULT_STATE
from selfheal.cli.up import _how_to_ask
from tests.cli.conftest import Told
from tests.tools import tool


def test_a_failure_as_json_is_one_line(say: Callable[..., Told]) -> None:
    told = say("up", "--until-healed", "1", "--json", "--lang", "ko")

    assert told.code == 2
    assert told.out.count("\n") == 1
    assert json.loads(told.out) == {"error": "--until-healed와 --rounds는 --demo와 함께 사용합니다"}


@pytest.mark.parametrize("demo", [True, False], ids=["demo", "host"])
def test_a_state_folder_that_cannot_be_used_is_named_with_the_remedy(
    say: Callable[..., Told], tmp_path: Path, demo: bool
) -> None:
    tool("prometheus"), tool("alertmanager")
    file = tmp_path / "file"
    file.write_text("")

    told = say("up", *(["--demo"] if demo else []), "--state", str(file / "state"), "--lang", "en")

    assert told.code == 1
    assert told.err == (
        f"selfheal: cannot use {file}/state: Not a directory ({file}/state). "
        "It must be writable and have space; --state chooses another folder\n"
    )


@pytest.mark.parametrize(
    ("called", "state", "expected"),
    [
        (".venv/bin/selfheal", DEFAULT_STATE, (".venv/bin/selfheal", "")),
        ("/x/selfheal/cli/__main__.py", Path("/t"), ("selfheal", " --state /t")),
    ],
)
def test_how_to_ask_in_another_terminal_follows_how_it_was_called(
    monkeypatch: pytest.MonkeyPatch, called: str, state: Path, expected: tuple[str, str]
) -> None:
    monkeypatch.setattr("sys.argv", [called, "up"])

    assert _how_to_ask(state) == expected


def test_a_wrong_variable_is_refused_by_name(say: Callable[..., Told], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_LANG", "de")
    monkeypatch.setenv("SELFHEAL_DEMO", "maybe")

    language, switch = say("status"), say("up", "--lang", "en")

    assert (language.code, switch.code) == (2, 2)
    assert "from $SELFHEAL_LANG: 'de' is none of en, ko" in language.err
    assert "from $SELFHEAL_DEMO: 'maybe' is neither on" in switch.err
