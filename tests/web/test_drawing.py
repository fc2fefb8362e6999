"""What was measured before and after, as a drawing and as words: nothing is shown that was not measured."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from remediator.locale import LANGUAGES, catalog
from remediator.web.drawing import HEIGHT, WIDTH, drawings, svg, words
from tests.web.site import DETAIL, Site
from tests.web.test_page import EVIL, Page

BEGAN, ENDED = 1_767_225_600.0, 1_767_225_605.0
LEVEL, HEALED = 580e6, 120e6


def samples(*points: tuple[float, float], quantity: str = "memory_bytes", **more: Any) -> dict[str, Any]:
    series = {"quantity": quantity, "threshold": 420e6, "worse": 1, "points": [list(point) for point in points]} | more
    return {"samples": {"effects": [BEGAN, ENDED], "series": [series]}}


def evidence(**more: Any) -> list[dict[str, Any]]:
    before = samples(*((BEGAN - 15 * n, LEVEL - n) for n in range(40, -1, -1)), **more)
    after = samples((BEGAN, LEVEL), *((BEGAN + 15 * n, HEALED + n) for n in range(1, 5)), **more)
    return [{"at": None, "phase": "before", "body": before}, {"at": None, "phase": "after", "body": after}]


def drawn(found: list[dict[str, Any]], language: str = "en") -> ElementTree.Element:
    (drawing,) = drawings(found)
    return ElementTree.fromstring(svg(drawing, catalog(language), 1))


def test_before_and_after_are_two_curves_with_the_action_and_the_threshold_between() -> None:
    picture = drawn(evidence())

    curves = {curve.get("class"): curve.get("points", "").split() for curve in picture.iter("polyline")}
    (action,) = picture.iter("rect")
    (limit,) = picture.iter("line")
    assert list(curves) == ["was", "became"]
    # where one ends the other begins: at the action's beginning
    assert curves["was"][-1].split(",")[0] == curves["became"][0].split(",")[0] == action.get("x")
    heights = [float(point.split(",")[1]) for point in curves["became"]]
    assert heights[0] < float(limit.get("y1", "nan")) < heights[-1]
    assert float(action.get("width", "0")) > 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_whoever_cannot_see_it_is_told_the_same(language: str) -> None:
    (drawing,) = drawings(evidence())
    said = words(drawing, catalog(language))
    picture = drawn(evidence(), language)

    assert len(said) == 3
    assert picture.get("role") == "img"
    assert picture.get("aria-labelledby") == "drawing-1-title drawing-1-words"
    assert {each.get("id"): each.text for each in picture if each.tag in ("title", "desc")} == {
        "drawing-1-title": catalog(language).say("drawing.title"),
        "drawing-1-words": " ".join(said),
    }
    assert all(number in " ".join(said) for number in ("580M", "120M", "420M", "5m", "1m"))


@pytest.mark.parametrize(
    ("worse", "said"),
    [(1, "holds above 420M"), (-1, "holds below 420M"), (0, "compares it with 420M")],
    ids=["more", "less", "neither"],
)
def test_it_is_said_which_way_is_worse(worse: int, said: str) -> None:
    (drawing,) = drawings(evidence(worse=worse))

    assert said in words(drawing, catalog("en"))[-1]


def test_the_last_look_is_drawn_and_only_so_much_of_before_as_shows_the_change() -> None:
    later = {"at": None, "phase": "after", "body": samples((BEGAN, LEVEL), (BEGAN + 200, 9e8))}
    (soon,), (late,) = drawings(evidence()), drawings([*evidence(), later])

    assert soon.before[0][0] == BEGAN - 300
    assert late.before[0][0] == BEGAN - 600
    assert late.after[-1] == (BEGAN + 200, 9e8)


@pytest.mark.parametrize(
    "values", [[5.0] * 5, [0.0] * 5, [-1e300, 1e300, 0.0], [1e-9, 2e-9]], ids=["flat", "zero", "huge", "tiny"]
)
def test_whatever_was_measured_stays_inside_the_drawing(values: list[float]) -> None:
    points = [(BEGAN + n, value) for n, value in enumerate(values)]
    picture = drawn([{"phase": "after", "body": samples(*points, threshold=values[0])}])

    numbers = [float(n) for curve in picture.iter("polyline") for n in re.split("[ ,]", curve.get("points", ""))]
    assert all(0 <= x <= WIDTH for x in numbers[::2])
    assert all(0 <= y <= HEIGHT for y in numbers[1::2])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"samples": None},
        {"samples": {"effects": [BEGAN, ENDED], "series": None}},
        {"samples": {"effects": [BEGAN], "series": samples((1, 2), (3, 4))["samples"]["series"]}},
        samples((BEGAN, 1.0)),
        samples((BEGAN, math.nan), (BEGAN + 1, 1.0)),
        samples((BEGAN, 1.0), (BEGAN + 1, 1.0), worse=7),
        samples((BEGAN, 1.0), (BEGAN + 1, 1.0), threshold="x"),
    ],
    ids=["none", "empty", "no series", "no end", "one point", "no number", "no way", "no threshold"],
)
def test_what_cannot_be_drawn_is_left_out(body: dict[str, Any]) -> None:
    assert drawings([{"phase": "after", "body": body}]) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_remediation_shows_it_without_script_or_style(site: Site, language: str) -> None:
    site.service.details[7] = DETAIL | {"evidence": evidence(quantity=f'x{{a="{EVIL}"}}')}

    page = Page(site.ask("GET", f"/runs/7?lang={language}").text)

    assert len(page.named("svg")) == len(page.named("figure")) == 1
    assert len(page.named("polyline")) == 2
    assert page.named("script") == []
    assert not [attributes for _, attributes in page.tags if "style" in attributes]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert catalog(language).say("evidence.values", count=41, low="580M", high="580M", last="580M") in page.text


def test_a_remediation_without_samples_has_no_drawing(site: Site) -> None:
    assert Page(site.ask("GET", "/runs/7?lang=en").text).named("svg") == []
