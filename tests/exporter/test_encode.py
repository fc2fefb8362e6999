"""The text format: what any label or value looks like, read back by the reference parser."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.encode import Metric, encode, format_value


@given(
    first=st.text().filter(lambda text: "\0" not in text),
    second=st.text(alphabet='"\\\n{}=, a한', max_size=30),
    value=st.one_of(st.integers(), st.floats(allow_nan=False)),
)
def test_any_label_value_is_read_back_as_it_was(first: str, second: str, value: float) -> None:
    metric = Metric("selfheal_thing", "gauge", "A thing.", ("first", "second"))

    page = encode([metric.of({(first, second): value})]).decode()

    assert page.count("\n") == 3
    (family,) = text_string_to_metric_families(page)
    (sample,) = family.samples
    # hypothesis makes no lone surrogates, so nothing is lost in the encoding
    assert sample.labels == {"first": first, "second": second}
    assert sample.value == float(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2**63 + 1, "9223372036854775809"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_whole_numbers_stay_whole(value: float, text: str) -> None:
    assert format_value(value) == text


def test_help_is_one_line_and_nul_never_ends_the_page() -> None:
    metric = Metric("a", "counter", "one\ntwo \\ three", ("l",))

    page = encode([metric.of({("x\0y",): 1})])

    assert page == '# HELP a one\\ntwo \\\\ three\n# TYPE a counter\na{l="x\ufffdy"} 1\n'.encode()


def test_a_lone_surrogate_does_not_break_the_page() -> None:
    metric = Metric("a", "gauge", "A.", ("l",))

    assert encode([metric.of({("\udcff",): 1})]).endswith(b'a{l="?"} 1\n')


def test_a_family_without_samples_is_left_out() -> None:
    assert encode([Metric("a", "gauge", "A.").of({}), Metric("b", "gauge", "B.").only(1)]) == (
        b"# HELP b B.\n# TYPE b gauge\nb 1\n"
    )


def test_a_wrong_number_of_labels_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"zip"):
        Metric("a", "gauge", "A.", ("one", "two")).prefix(("1",))


def test_rendered_labels_are_kept_and_never_without_bound() -> None:
    metric = Metric("a", "gauge", "A.", ("l",))

    assert metric.prefix(("x",)) is metric.prefix(("x",))
    for number in range(30_000):
        metric.prefix((str(number),))
    assert len(metric._prefixes) <= 20_000
