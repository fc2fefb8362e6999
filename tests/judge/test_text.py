"""Reading PromQL into our tree and printing it again: nothing changes its meaning, nothing leaves its quotes."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.judge.parse import LONGEST, Unreadable, parse
from remediator.judge.printer import show, show_number
from remediator.judge.tree import Matcher, Number, Selector

PRINTED = {
    "up": "up",
    "up == 0": "up == 0",
    'a{b="c",d!="e",f=~"g.*",h!~"i|j"}': 'a{b="c", d!="e", f=~"g.*", h!~"i|j"}',
    '{__name__="a",b="c"}': 'a{b="c"}',
    '{"a",b="c"}': 'a{b="c"}',
    '{__name__="bool"}': '{__name__="bool"}',
    "rate(a[90s])": "rate(a[1m30s])",
    "rate(a[1ms])": "rate(a[1ms])",
    "a offset 1d": "a offset 1d",
    "rate(a[5m] offset -1500ms)": "rate(a[5m] offset -1s500ms)",
    "max_over_time(a[5m:])": "max_over_time((a)[5m:])",
    "max_over_time(rate(a[1m])[5m:30s] offset 1h)": "max_over_time((rate(a[1m]))[5m:30s] offset 1h)",
    "-a ^ 2": "-(a ^ 2)",
    "(-1) ^ 2": "(-1) ^ 2",
    "a - (b - c)": "a - (b - c)",
    "a - b - c": "(a - b) - c",
    "a + b * c": "a + (b * c)",
    "sum(a)": "sum (a)",
    "sum(a) by ()": "sum (a)",
    "sum without () (a)": "sum without () (a)",
    "sum by (x, y) (a)": "sum by (x, y) (a)",
    "quantile(0.9, a)": "quantile (0.9, a)",
    'count_values("v", a)': 'count_values ("v", a)',
    "a > bool 1": "a > bool 1",
    "a > on () b": "a > on () b",
    "a > ignoring (x) b": "a > ignoring (x) b",
    "a * on (x) group_left () b": "a * on (x) group_left () b",
    "a * ignoring (x) group_right (y, z) b": "a * ignoring (x) group_right (y, z) b",
    "a and b or c unless d": "(a and b) or (c unless d)",
    "a > 1e16": "a > 1e+16",
    "a > 0x1f": "a > 31",
    "a > 0.1": "a > 0.1",
    "a > Inf": "a > Inf",
    "a > -Inf": "a > (-Inf)",
    "a > NaN": "a > NaN",
    "predict_linear(a[1h], 4 * 3600) < 0": "predict_linear(a[1h], 4 * 3600) < 0",
    "hour() > 8": "hour() > 8",
    r'a{b="\"\\\n"}': r'a{b="\"\\\n"}',
    r'a{b="\u0001\u007f\t"}': r'a{b="\u0001\u007f\u0009"}',
    'a{b="한글 é"}': 'a{b="한글 é"}',
    r'a{b=~"(.*):\\d+"}': r'a{b=~"(.*):\\d+"}',
}

REFUSED = {
    "a >": "it does not parse",
    "": "it does not parse",
    "rate(a[$__rate_interval])": "it does not parse",
    "a @ 5": "it is pinned to a time by @",
    "a @ end()": "it is pinned to a time by @",
    "max_over_time(a[5m:] @ 5)": "it is pinned to a time by @",
    'a{b="1" or c="2"}': "it joins matchers with or",
    '{b="1"}': "it selects series without one literal name",
    '{__name__=~"a|b"}': "it selects series without one literal name",
    '{"a b"}': "it uses a quoted metric name",
    'a{"b.c"="1"}': "it uses a quoted label name or a condition on the metric's name",
    '{__name__="a", __name__!="b"}': "it uses a quoted label name or a condition on the metric's name",
    'sum by ("b.c") (a)': "it uses a quoted label name",
    "a + fill(0) b": "it fills in missing values by fill",
    "a + b" * LONGEST: f"it is longer than {LONGEST} characters",
}


@pytest.mark.parametrize("text", PRINTED)
def test_an_expression_prints_as_expected_and_reads_back_as_itself(text: str) -> None:
    tree = parse(text)

    assert show(tree) == PRINTED[text]
    assert show(parse(show(tree))) == PRINTED[text]


@pytest.mark.parametrize("text", [text for text in PRINTED if "NaN" not in text])
def test_the_printed_text_reads_back_as_the_same_tree(text: str) -> None:
    assert parse(show(parse(text))) == parse(text)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_what_our_tree_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as error:
        parse(text)

    assert str(error.value).startswith(REFUSED[text])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_label_value_leaves_its_quotes(value: str) -> None:
    selector = Selector("a", (Matcher("b", "=", value), Matcher("c", "=", "end")))

    assert parse(show(selector)) == selector


@given(st.floats(allow_nan=False))
def test_a_number_prints_as_itself(value: float) -> None:
    read = parse(show_number(value))

    assert isinstance(read, Number)
    assert read.value == value


def test_not_a_number_prints_as_itself() -> None:
    read = parse(show_number(math.nan))

    assert isinstance(read, Number)
    assert math.isnan(read.value)


def test_the_parser_is_loaded_only_when_something_is_read() -> None:
    code = "import sys, remediator.judge, remediator.evidence; sys.exit('promql_parser' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
