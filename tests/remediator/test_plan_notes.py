"""What a plan tells besides its things, as a person reads it before saying yes."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.locale import catalog
from remediator.locale.plans import NOTES, notes

ENGLISH = catalog("en")


def told(**detail: Any) -> list[str]:
    return notes(ENGLISH, {"items": [], "detail": detail})


def test_what_is_left_out_is_told_with_its_class_and_why() -> None:
    left_out = {
        "files": [{"path": ".env", "class": "secret", "why": "has a name of a secret"}],
        "classes": {"secret": 1},
    }

    assert told(left_out=left_out) == ["left out: .env (secret: has a name of a secret)"]


def test_of_many_files_left_out_the_rest_is_counted() -> None:
    files = [{"path": f"f{number}", "class": "other", "why": "no pattern"} for number in range(NOTES + 5)]

    found = told(left_out={"files": files, "classes": {"other": 400}})

    assert len(found) == NOTES + 1
    assert str(400 - NOTES) in found[-1]


def test_what_a_dry_run_wrote_is_told_from_its_end() -> None:
    written = "\n".join(f"line {number}" for number in range(NOTES + 5))

    found = told(checked={"output": written + "\n"})

    assert found[0] == ENGLISH.say("plan.checked")
    assert found[-1].strip() == f"line {NOTES + 4}"
    assert len(found) == NOTES + 2
    assert told(checked={"output": " \n"}) == []


def test_what_is_not_done_and_why_there_is_nothing_to_do_are_told() -> None:
    assert told(why="it is committed already", beyond_limit=3, undo_needs="CAP_SYS_NICE", kept_by_floor=0) == [
        "it is committed already",
        "left for the next run: 3, the undo needs: CAP_SYS_NICE",
    ]


@pytest.mark.parametrize(
    "plan",
    [
        None,
        {"items": []},
        {"items": [], "detail": {"left_out": {"too young": 3}}},
        {"items": [], "detail": {"checked": {"code": 0}, "left_out": None}},
    ],
)
def test_a_plan_with_nothing_of_that_kind_has_no_notes(plan: dict[str, Any] | None) -> None:
    assert notes(ENGLISH, plan) == []
