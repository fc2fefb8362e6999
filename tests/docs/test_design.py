"""The design page against the code: states, moves, rooms."""

from __future__ import annotations

import re
import tomllib

import pytest

from remediator.guards import GUARDS
from remediator.model import ENDS, LOCKED, MOVES, State
from tests.docs.pages import TOP, between, blocks, pages, read, table

PAGE = read("docs", "design.md")
ROOMS = re.findall(r"^\| `([a-z/]+)/` \|", PAGE, re.MULTILINE)


def test_the_table_of_moves_is_the_models() -> None:
    drawn = {row[0]: set(row[1].split(", ")) for row in table(between(PAGE, "moves"))}

    expected = {state.value: {after.value for after in onward} for state, onward in MOVES.items() if onward}

    assert drawn == expected


def test_the_table_of_states_has_every_state_that_is_no_end_and_says_which_hold_the_lock() -> None:
    rows = table(between(PAGE, "states"))

    assert {row[0] for row in rows} == {state.value for state in State if state not in ENDS}
    assert {row[0] for row in rows if row[2] == "yes"} == {state.value for state in LOCKED}


def test_every_end_is_named() -> None:
    line = next(line for line in PAGE.splitlines() if line.startswith("Ends: "))

    assert set(re.findall(r"`(\w+)`", line)) == {state.value for state in ENDS}


def test_the_rooms_of_the_remediator_are_those_that_import_linter_checks() -> None:
    settings = tomllib.loads(read("pyproject.toml"))
    contract = next(each for each in settings["tool"]["importlinter"]["contracts"] if each["type"] == "layers")

    (drawn,) = blocks(between(PAGE, "layers"), "")

    assert drawn.splitlines() == contract["layers"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_of_the_table_exists(room: str) -> None:
    assert (TOP / room).is_dir()


def test_the_guards_are_named_in_the_order_in_which_they_are_asked() -> None:
    said = " ".join(PAGE.split()).partition("In order: ")[2].partition(".")[0]

    assert [name.replace(" ", "_") for name in said.split(", ")] == [guard.name for guard in GUARDS]


def test_a_number_of_guards_in_a_page_is_how_many_there_are() -> None:
    words = ["twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
    text = "\n".join(page.read_text("utf-8") for page in pages() if page.name != "CHANGELOG.md")

    said = re.findall(rf"\b({'|'.join(words)}|\d+) guards\b", text)

    assert set(said) == {words[len(GUARDS) - 12]}


def test_every_file_of_the_flow_picture_exists() -> None:
    picture = blocks(PAGE, "")[0]

    named = set(re.findall(r"\b([a-z/]+\.py)\b", picture))

    assert len(named) == 7
    for name in named:
        assert (TOP / name).is_file() or (TOP / "remediator" / name).is_file(), name
