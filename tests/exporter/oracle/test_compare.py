"""The comparison itself: what it reads, what it calls a difference, and what the table excuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.exporter.oracle.compare import Look, differences, lasting, lies_between
from tests.exporter.oracle.pages import Page, parse
from tests.exporter.oracle.table import NODE, PROCESS


def page(kind: str, value: float, labels: str = "", name: str = "node_thing") -> Page:
    """Return a page with one series."""
    return parse(f"# HELP {name} A thing.\n# TYPE {name} {kind}\n{name}{labels} {value!r}\n")


def test_a_page_is_read_with_its_types_and_escaped_labels() -> None:
    text = r"""# HELP a One.
# TYPE a gauge
a{x="q\"uo\\te, {b}=\n",y=""} +Inf
# HELP h Three.
# TYPE h histogram
h_bucket{le="+Inf"} 2
h_sum 0.5
h_count 2
"""

    found = parse(text)

    assert (found["a"].kind, found["a"].help) == ("gauge", "One.")
    assert found["a"].samples == {("a", (("x", 'q"uo\\te, {b}=\n'), ("y", ""))): float("inf")}
    assert list(found) == ["a", "h"]
    assert [name for name, _ in found["h"].samples] == ["h_bucket", "h_sum", "h_count"]


@pytest.mark.parametrize(
    ("text", "message"), [("a 1\na 2\n", "told twice: a"), ("{x} 1\n", "not a sample"), ("a 1 2 3\n", "not a sample")]
)
def test_a_page_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("before", "value", "after", "expected"),
    [
        (1, 1, 1, True),
        (1, 1.0000001, 1, False),
        (1, 2, 3, True),
        (3, 2, 1, True),
        (1, 3.1, 3, False),
        (1, 0.9, 3, False),
        (float("nan"), float("nan"), float("nan"), True),
        (float("nan"), 0, float("nan"), False),
    ],
)
def test_a_value_is_right_between_two_that_were(before: float, value: float, after: float, expected: bool) -> None:
    assert lies_between(before, value, after) is expected


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (page("gauge", 1), page("gauge", 1), []),
        (page("gauge", 1), page("gauge", 2), ["node_thing: 2.0, where 1.0 is right"]),
        (page("gauge", 1), page("counter", 1), ["node_thing: node_exporter says gauge, ours counter"]),
        (page("gauge", 1), {}, ["node_thing: node_exporter has it, ours has not: node_thing"]),
        ({}, page("gauge", 1), ["node_thing: ours has it, node_exporter has not: node_thing"]),
        (
            page("gauge", 1, '{a="b"}'),
            page("gauge", 1, '{a="c"}'),
            [
                'node_thing: only node_exporter has node_thing{a="b"}',
                'node_thing: only ours has node_thing{a="c"}',
            ],
        ),
        (page("gauge", 1, name="go_threads"), {}, []),
    ],
    ids=["same", "value", "type", "missing", "added", "labels", "meant"],
)
def test_every_kind_of_difference_is_told_unless_it_is_meant(theirs: Page, ours: Page, expected: list[str]) -> None:
    assert differences(Look(NODE, theirs, ours, theirs)) == expected


@pytest.mark.parametrize(("drift", "told"), [(1e-12, 0), (0.01, 1)])
def test_a_difference_that_may_be_small_must_be(drift: float, told: int) -> None:
    name = "namedprocess_namegroup_cpu_seconds_total"
    theirs, ours = page("counter", 2.0, name=name), page("counter", 2.0 + drift, name=name)

    assert len(differences(Look(PROCESS, theirs, ours, theirs))) == told


@pytest.mark.parametrize(("live", "told"), [(True, 0), (False, 1)])
def test_what_is_meant_of_a_live_host_is_a_fault_on_a_tree(live: bool, told: int) -> None:
    name, labels = "node_scrape_collector_success", '{collector="pressure"}'
    theirs, ours = page("gauge", 0, labels, name), page("gauge", 1, labels, name)

    assert len(differences(Look(NODE, theirs, ours, theirs, live))) == told


def looks(kind: str, *values: float) -> Iterator[Look]:
    """Return looks at an oracle that always says 1, and at ours that says these."""
    return (Look(NODE, page(kind, 1), page(kind, value), page(kind, 1)) for value in values)


def test_a_gauge_that_was_right_once_is_right() -> None:
    found = looks("gauge", 5, 4, 1)

    assert lasting(lambda: next(found), 3) == []


def test_a_gauge_that_is_never_right_is_told_as_it_was_last() -> None:
    found = looks("gauge", 5, 4, 3)

    assert lasting(lambda: next(found), 3) == ["node_thing: 3.0, where 1.0 is right"]


def test_a_counter_that_was_wrong_once_is_wrong() -> None:
    found = looks("counter", 5, 1)

    assert lasting(lambda: next(found), 2) == ["node_thing: 5.0, where 1.0 is right"]
