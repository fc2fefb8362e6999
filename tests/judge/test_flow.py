"""Which labels must hold where, and that narrowing follows them."""

from __future__ import annotations

import pytest

from remediator.judge.flow import carries, narrow
from remediator.judge.parse import parse
from remediator.judge.printer import show

LABELS = {"instance": "i", "job": "j", "mode": "m"}

NARROWED = {
    "a": 'a{instance="i", job="j", mode="m"}',
    'a{instance="i", x!="y"}': 'a{instance="i", x!="y", job="j", mode="m"}',
    "rate(a[5m])": 'rate(a{instance="i", job="j", mode="m"}[5m])',
    "-a": '-(a{instance="i", job="j", mode="m"})',
    "sum(a)": "sum (a)",
    "sum by (instance) (a)": 'sum by (instance) (a{instance="i"})',
    "sum without (mode) (a)": 'sum without (mode) (a{instance="i", job="j"})',
    "topk(3, a)": 'topk (3, a{instance="i", job="j", mode="m"})',
    'count_values("mode", a)': 'count_values ("mode", a)',
    'count_values without (job) ("mode", a)': 'count_values without (job) ("mode", a{instance="i"})',
    'label_replace(a, "instance", "$1", "host", "(.*)")': (
        'label_replace(a{job="j", mode="m"}, "instance", "$1", "host", "(.*)")'
    ),
    "absent(a)": "absent(a)",
    "a > scalar(b)": 'a{instance="i", job="j", mode="m"} > scalar(b)',
    "vector(1) > a": 'vector(1) > a{instance="i", job="j", mode="m"}',
    "5 < a": '5 < a{instance="i", job="j", mode="m"}',
    "time() - a": 'time() - a{instance="i", job="j", mode="m"}',
    "a / b": 'a{instance="i", job="j", mode="m"} / b{instance="i", job="j", mode="m"}',
    "a / ignoring (mode) b": 'a{instance="i", job="j"} / ignoring (mode) b{instance="i", job="j"}',
    "a / on (instance) b": 'a{instance="i"} / on (instance) b{instance="i"}',
    "a * on (instance) group_left () b": (
        'a{instance="i", job="j", mode="m"} * on (instance) group_left () b{instance="i"}'
    ),
    "a * on (instance) group_left (mode) b": (
        'a{instance="i", job="j"} * on (instance) group_left (mode) b{instance="i", mode="m"}'
    ),
    "a * on (instance) group_right () b": (
        'a{instance="i"} * on (instance) group_right () b{instance="i", job="j", mode="m"}'
    ),
    "a and on (instance) b": 'a{instance="i", job="j", mode="m"} and on (instance) b{instance="i"}',
    "a unless on () b": 'a{instance="i", job="j", mode="m"} unless on () b',
    "a or on (instance) b": ('a{instance="i", job="j", mode="m"} or on (instance) b{instance="i", job="j", mode="m"}'),
    "a > on (instance) group_left () (max by (instance) (t) or group by (instance) (a) * 2)": (
        'a{instance="i", job="j", mode="m"} > on (instance) group_left () '
        '(max by (instance) (t{instance="i"}) or (group by (instance) (a{instance="i"}) * 2))'
    ),
}


@pytest.mark.parametrize("text", NARROWED)
def test_selectors_are_narrowed_by_the_labels_that_must_hold_on_them(text: str) -> None:
    assert show(narrow(parse(text), LABELS)) == NARROWED[text]


def test_a_hostile_value_stays_inside_its_quotes() -> None:
    hostile = {"job": '"} or vector(1) or a{b="\\'}

    assert show(narrow(parse("a"), hostile)) == 'a{job="\\"} or vector(1) or a{b=\\"\\\\"}'


def test_a_label_name_that_would_need_quotes_narrows_nothing() -> None:
    assert show(narrow(parse("a"), {"b.c": "1", "job": "j"})) == 'a{job="j"}'


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a", True),
        ("rate(a[5m])", True),
        ("sum(a)", False),
        ("sum by (instance) (a)", True),
        ("sum without (instance) (a)", False),
        ("a > 5", True),
        ("5 < a", True),
        ("a and on () sum(b)", True),
        ("sum(b) or a", False),
        ("a * on (instance) group_left () b", True),
        ("sum(a) * on () group_right () b", True),
        ("a / on (job) b", False),
        ("a / ignoring (mode) b", True),
        ("clamp_min(a, 0)", True),
        ("vector(1)", False),
        ("scalar(a)", False),
        ('label_replace(a, "instance", "x", "", "")', False),
        ('label_replace(a, "other", "x", "", "")', True),
    ],
)
def test_it_is_known_whether_a_result_still_says_of_which_instance_it_is(text: str, kept: bool) -> None:
    assert carries(parse(text), "instance") is kept
