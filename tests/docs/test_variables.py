"""Every flag of every program has its variable, but for those that pages and help name."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Mapping

import pytest

from exporter.config import make_parser
from remediator.__main__ import main as remediator
from remediator.locale import catalog
from selfheal.cli import COMMANDS, OWN_PARSER, build_parser, build_top_parser, load
from selfheal.common.flags import variable_of
from tests.docs.pages import read

EXPORTER = "selfheal-exporter"
WITHOUT = {("selfheal check", "--format"), ("selfheal check", "--schema"), (EXPORTER, "--once")}
ASKED_OF_ARGPARSE = {"--help", "--version"}


def _programs() -> Mapping[str, argparse.ArgumentParser]:
    texts = catalog("en")
    commands: dict[str, argparse.ArgumentParser] = {"selfheal": build_top_parser(texts)}
    for name in COMMANDS:
        own = name in OWN_PARSER
        parser = importlib.import_module(COMMANDS[name]).build_parser(texts) if own else build_parser(load(name), texts)
        commands[f"selfheal {name}"] = parser
    return {**commands, EXPORTER: make_parser()}


PROGRAMS = _programs()


def _flags(program: str) -> dict[str, str]:
    """Return flag → its help; a switch that can be turned off counts once."""
    return {
        action.option_strings[-1 if action.option_strings[0].count("-") == 1 else 0]: action.help or ""
        for action in PROGRAMS[program]._actions
        if action.option_strings
    }


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_flag_has_its_variable_unless_it_is_listed(program: str) -> None:
    without = {
        flag for flag, said in _flags(program).items() if f"[${variable_of(flag)}]" not in said
    } - ASKED_OF_ARGPARSE

    assert {(program, flag) for flag in without} == {each for each in WITHOUT if each[0] == program}


def test_every_flag_of_the_remediator_has_its_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        remediator(["--help"])

    told = capsys.readouterr().out
    flags = set(re.findall(r"^  (--[\w.-]+)", told, re.MULTILINE))
    assert {variable_of(flag) for flag in flags} == set(re.findall(r"\[\$(\w+)\]", told)) != set()


@pytest.mark.parametrize(("program", "flag"), sorted(WITHOUT))
def test_a_flag_without_a_variable_is_named_where_variables_are_explained(program: str, flag: str) -> None:
    sentence = read("docs", "reference", "cli.md").partition("by a variable too")[2].partition("\n\n")[0]

    assert f"`{flag}`" in sentence
    assert "(no variable" in _flags(program)[flag]
    if program == EXPORTER:
        assert f"Each but `{flag}` has a variable" in read("docs", "reference", "exporter.md")
