"""The page about proof tells the truth: its table of shapes is run, and no verdict is left out."""

from __future__ import annotations

import re

import pytest

from remediator.judge import Case, Proof, RuleText, prepare
from remediator.model import Verdict
from tests.docs.pages import read

PAGE = read("docs", "reference", "proof.md")
CLASSES = {"in two scrapes": Proof.TWO_SCRAPES, "after its window": Proof.WINDOW, "declare": Proof.DECLARE}
TABLE = dict(re.findall(r"^\| `(.+)` \| (.+) \|$", PAGE.partition("## Shapes")[2], re.MULTILINE))


@pytest.mark.parametrize("text", TABLE)
def test_a_shape_is_proven_as_the_page_says(text: str) -> None:
    case = prepare(RuleText("Alert", text, {}, 15, 0), {})

    assert (case.proof if isinstance(case, Case) else Proof.DECLARE) is CLASSES[TABLE[text]]


def test_every_class_of_proof_has_shapes_on_the_page() -> None:
    assert set(TABLE.values()) == set(CLASSES)


def test_every_verdict_is_on_the_page() -> None:
    told = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Verdicts")[2].partition("## Worse")[0], re.MULTILINE)

    assert set(told) == {verdict.value for verdict in Verdict}
