"""Help that a person can learn from, in both languages, and its page in the documentation."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.locale import LANGUAGES, catalog
from selfheal.cli import COMMANDS, OWN_PARSER, build_parser, load
from selfheal.common.shipped import shipped
from tests.cli.conftest import Told

OURS = sorted(set(COMMANDS) - OWN_PARSER)
PAGE = shipped("docs", "reference", "cli.md")


def parser_of(name: str, language: str = "en") -> argparse.ArgumentParser:
    if name not in OWN_PARSER:
        return build_parser(load(name), catalog(language))
    parser: argparse.ArgumentParser = importlib.import_module(COMMANDS[name]).build_parser(catalog(language))
    return parser


def flags_of(name: str) -> set[str]:
    options = [option for action in parser_of(name)._actions for option in action.option_strings]
    return {option for option in options if option.startswith("--") and option != "--help"}


def test_every_file_of_a_command_is_in_the_table() -> None:
    helpers = {"__init__", "__main__", "answers", "parser", "place", "source", "stored", "story"}
    files = {path.stem for path in Path(shipped("selfheal", "cli")).glob("*.py")}

    assert files - helpers == set(COMMANDS)
    assert all(importlib.import_module(module).name == name for name, module in COMMANDS.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_without_a_command_lists_all_of_them(say: Callable[..., Told], language: str) -> None:
    told = say("--help", "--lang", language)

    assert told.code == 0
    for name in COMMANDS:
        assert catalog(language).say(f"cli.{name}.summary") in told.out


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", OURS)
def test_help_of_a_command_explains_and_shows_examples(say: Callable[..., Told], name: str, language: str) -> None:
    texts = catalog(language)

    told = say(name, "--help", "--lang", language)

    assert told.code == 0
    words = " ".join(told.out.split())
    assert " ".join(texts.say(f"cli.{name}.description").split()) in words
    assert told.out.count(f"  selfheal {name}") >= 2
    assert "[$SELFHEAL_STATE]" in words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", OURS)
def test_every_example_is_one_that_the_parser_takes(name: str, language: str) -> None:
    examples = catalog(language).say(f"cli.{name}.examples").splitlines()

    for example in examples:
        words = re.findall(r'"[^"]*"|\S+', example)
        assert words[:2] == ["selfheal", name]
        build_parser(load(name), catalog(language)).parse_args([word.strip('"') for word in words[2:]])


def test_the_version_is_told(say: Callable[..., Told]) -> None:
    assert say("--version").out.startswith("selfheal 0.")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["heal"], "there is no command heal; there are: up, serve, check"),
        (["--lang", "en", "status"], "flags go after the command: selfheal status"),
        (["status", "--jso"], "unrecognized arguments: --jso"),
        (["status", "--lang", "de"], "invalid choice: 'de'"),
        (["runs", "--limit", "0"], "1-500"),
        (["runs", "--in", "gone"], "invalid choice: 'gone'"),
        (["pause", "--for", "soon"], "is not a duration; write for example 30s"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_a_2_that_says_what_is_right(say: Callable[..., Told], words: list[str], message: str) -> None:
    told = say(*words)

    assert told.code == 2
    assert message in told.err


def test_nothing_at_all_shows_the_help(say: Callable[..., Told]) -> None:
    told = say()

    assert told.code == 2
    assert "selfheal status" in told.out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_flag_has_a_heading_in_the_reference(name: str) -> None:
    page = PAGE.read_text("utf-8")
    sections = {found[1]: found[2] for found in re.finditer(r"^## selfheal (\w+)\n(.*?)(?=^## |\Z)", page, re.M | re.S)}
    common = re.search(r"^## Common flags\n(.*?)(?=^## |\Z)", page, re.M | re.S)

    assert name in sections
    assert common is not None
    shared = set(re.findall(r"^### `(--[\w.-]+)", common[1], re.M))
    own = set(re.findall(r"^### `(--[\w.-]+)", sections[name], re.M))
    expected = flags_of(name)
    assert expected - shared <= own
    assert own <= expected
    assert shared == {"--config.file", "--state", "--json", "--lang"}
