"""Flags by variable: what a variable means, and that what a flag would refuse is refused by the variable's name."""

from __future__ import annotations

import argparse

import pytest

from selfheal.common.flags import add_flag, variable_of


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="program")
    group = parser.add_argument_group("a group")
    add_flag(parser, "--switch", action="store_true", default=False, help="a switch")
    add_flag(parser, "--either", action=argparse.BooleanOptionalAction, help="one of two")
    add_flag(group, "--number", type=int, default=7, help="a number")
    add_flag(group, "--choice", choices=("red", "blue"), default="red", help="a choice")
    add_flag(group, "--several", action="append", type=int, help="several")
    add_flag(group, "--web.listen-address", dest="listen", default="here", help="a text")
    return parser.parse_args(words)


def test_the_name_of_the_variable_follows_from_the_flag() -> None:
    assert variable_of("--web.listen-address") == "SELFHEAL_WEB_LISTEN_ADDRESS"


def test_without_variables_the_defaults_hold() -> None:
    found = vars(parsed())

    assert found == {"switch": False, "either": None, "number": 7, "choice": "red", "several": None, "listen": "here"}


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("SWITCH", "1", "switch", True),
        ("SWITCH", "Yes", "switch", True),
        ("SWITCH", "off", "switch", False),
        ("EITHER", "false", "either", False),
        ("EITHER", "true", "either", True),
        ("NUMBER", "12", "number", 12),
        ("CHOICE", "blue", "choice", "blue"),
        ("SEVERAL", "1,2", "several", [1, 2]),
        ("WEB_LISTEN_ADDRESS", "there", "listen", "there"),
        ("NUMBER", "", "number", 7),
    ],
)
def test_a_variable_is_read_as_its_flag_would_be(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    monkeypatch.setenv(f"SELFHEAL_{variable}", text)

    found = vars(parsed())[name]

    assert found == value
    assert type(found) is type(value) or name == "listen"


@pytest.mark.parametrize(
    ("variable", "text", "complaint"),
    [
        (
            "SWITCH",
            "maybe",
            "from $SELFHEAL_SWITCH: 'maybe' is neither on (1, true, yes) nor off (0, false, no)",
        ),
        ("EITHER", "2", "from $SELFHEAL_EITHER: '2' is neither on"),
        ("NUMBER", "many", "argument --number: from $SELFHEAL_NUMBER: invalid int value: 'many'"),
        ("CHOICE", "green", "argument --choice: from $SELFHEAL_CHOICE: 'green' is none of red, blue"),
        ("SEVERAL", "1,x", "argument --several: from $SELFHEAL_SEVERAL: invalid int value: 'x'"),
    ],
)
def test_what_the_flag_would_refuse_is_refused_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, text: str, complaint: str
) -> None:
    monkeypatch.setenv(f"SELFHEAL_{variable}", text)

    with pytest.raises(SystemExit) as ended:
        parsed()

    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "text", "words", "name", "value"),
    [
        ("SWITCH", "maybe", ["--switch"], "switch", True),
        ("EITHER", "true", ["--no-either"], "either", False),
        ("NUMBER", "many", ["--number", "3"], "number", 3),
        ("CHOICE", "green", ["--choice", "blue"], "choice", "blue"),
        ("SEVERAL", "1,2", ["--several", "3", "--several", "4"], "several", [3, 4]),
    ],
)
def test_a_written_flag_replaces_its_variable_even_a_wrong_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, words: list[str], name: str, value: object
) -> None:
    monkeypatch.setenv(f"SELFHEAL_{variable}", text)

    assert vars(parsed(*words))[name] == value


def test_a_wrong_variable_does_not_keep_the_help_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SELFHEAL_CHOICE", "green")

    with pytest.raises(SystemExit) as ended:
        parsed("--help")

    assert ended.value.code == 0
    assert "[$SELFHEAL_CHOICE]" in capsys.readouterr().out


def test_a_wrong_flag_is_complained_about_as_ever_while_a_variable_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SELFHEAL_NUMBER", "12")

    with pytest.raises(SystemExit):
        parsed("--number", "many")

    assert "argument --number: invalid int value: 'many'" in capsys.readouterr().err
