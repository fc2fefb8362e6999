"""What `selfheal up` says when it cannot start: one reason with its remedy, in the form that was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.locale import catalog
from selfheal.cli.place import DEFAULT_STATE
from selfheal.cli.up import _how_to_ask, _result, build_parser
from selfheal.stack.demo import Report
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


@pytest.mark.parametrize(
    ("report", "code", "told"),
    [
        pytest.param(Report(1, (), ()), 0, "", id="healed"),
        pytest.param(
            Report(1, (), ("beside.dat",)), 1, "selfheal: 1 bystanders were touched: beside.dat\n", id="a bystander"
        ),
        pytest.param(
            Report(0, (), (), "never_seen"),
            1,
            "selfheal: 0 of 1 faults were healed and verified: "
            "Prometheus never saw the patient well, so nothing was injected\n",
            id="never seen",
        ),
        pytest.param(
            Report(0, (), (), "no_record"),
            1,
            "selfheal: 0 of 1 faults were healed and verified: the remediator did not answer when its record was asked "
            "for, and without it nothing counts\n",
            id="no record",
        ),
    ],
)
def test_a_demo_ends_with_its_report_whatever_it_showed_and_a_code_that_says_so(
    capsys: pytest.CaptureFixture[str], report: Report, code: int, told: str
) -> None:
    texts = catalog("en")
    options = build_parser(texts).parse_args(["--demo", "--until-healed", "1", "--json"])

    assert _result(options, report, texts) == code

    written = capsys.readouterr()
    assert json.loads(written.out.splitlines()[-1]) == report.as_json()
    assert written.err == told


@pytest.mark.parametrize("reason", ["not_healed", "too_slow", "never_seen", "stopped", "relapsed", "no_record"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_reason_to_fall_short_has_words(reason: str, language: str) -> None:
    assert catalog(language).say(f"up.reason.{reason}")
