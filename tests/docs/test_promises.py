"""Every promise names tests that exist, and measurements that can be run."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec

import pytest

from selfheal.cli import COMMANDS
from tests.docs.pages import TOP, read, table

PAGE = read("docs", "promises.md")
NAMED = re.findall(r"^- `(tests/[\w/.]+)::(\w+)`$", PAGE, re.MULTILINE)
PROMISES = [f"P{number}" for number in range(1, 13)]
NOT_YET: set[str] = set()


@cache
def _tests_in(file: str) -> frozenset[str]:
    tree = ast.parse((TOP / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def _sections() -> dict[str, str]:
    parts = re.split(r"^## (P\d+) .+$", PAGE, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)), ids=lambda part: part.rpartition("/")[2])
def test_a_named_test_exists(file: str, test: str) -> None:
    assert test in _tests_in(file)


def test_every_line_that_looks_like_a_test_is_read_as_one() -> None:
    assert len(NAMED) == len(re.findall(r"`tests/", PAGE))


def test_all_twelve_stand_in_the_table_and_have_a_section_with_tests() -> None:
    rows = [re.match(r"\[(P\d+) ", row[0]) for row in table(PAGE)]
    sections = _sections()

    assert [row[1] for row in rows if row] == PROMISES
    assert list(sections) == PROMISES
    for promise, text in sections.items():
        assert "- `tests/" in text, promise


def test_what_does_not_hold_yet_says_so_in_table_and_section() -> None:
    in_table = {row[0][1:].split()[0] for row in table(PAGE) if row[1] == "**not yet**"}
    in_sections = {promise for promise, text in _sections().items() if text.lstrip().startswith("**Not yet.**")}

    assert in_table == in_sections == NOT_YET


def test_every_measurement_can_be_run() -> None:
    measured = " ".join(row[2] for row in table(PAGE))
    modules = set(re.findall(r"python -m ([\w.]+)", measured))
    commands = set(re.findall(r"`selfheal (\w+)", measured))

    assert modules == {
        "benchmarks.loop",
        "benchmarks.storm",
        "benchmarks.crash",
        "benchmarks.exporter",
        "benchmarks.growth",
        "benchmarks.peers",
        "benchmarks.healing",
    }
    assert all(find_spec(module) is not None for module in modules)
    assert commands <= set(COMMANDS)


def test_the_readme_names_every_promise_with_the_same_words() -> None:
    promised = set(re.findall(r"\[(P\d+ [\w ]+)\]", PAGE))

    shown = set(re.findall(r"\[(P\d+ [\w ]+)\]", read("README.md")))

    assert shown == promised
