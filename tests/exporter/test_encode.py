"""The text format: what any label or value looks like, read back by the reference parser."""

from __future__ import annotations

import io
import math
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
from prometheus_client.parser import text_string_to_metric_families

from exporter.encode import Family, Histogram, Metric, encode, encode_open, format_value
from tests.tools import binary


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
    assert float(sample.value) == float(value)


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
    assert len(metric.prefixes) <= 20_000


def test_rendered_buckets_are_kept_and_never_without_bound() -> None:
    metric = Metric("a_seconds", "histogram", "A.", ("l",))

    for number in range(9_000):
        metric.histograms({(str(number),): Histogram((0.1, 1, 10), (0, 0, 0, 0), 0)})

    assert len(metric._buckets) <= 20_000 / 3


LATENCY = Metric("selfheal_latency_seconds", "histogram", "Latency.", ("phase",))


def test_a_histogram_counts_upwards_to_its_count() -> None:
    family = LATENCY.histograms({("tls",): Histogram((0.1, 1), (2, 3, 4), 12.5), ("dns",): Histogram((), (1,), 2)})

    assert encode([family]).decode().splitlines() == [
        "# HELP selfheal_latency_seconds Latency.",
        "# TYPE selfheal_latency_seconds histogram",
        'selfheal_latency_seconds_bucket{phase="tls",le="0.1"} 2',
        'selfheal_latency_seconds_bucket{phase="tls",le="1.0"} 5',
        'selfheal_latency_seconds_bucket{phase="tls",le="+Inf"} 9',
        'selfheal_latency_seconds_sum{phase="tls"} 12.5',
        'selfheal_latency_seconds_count{phase="tls"} 9',
        'selfheal_latency_seconds_bucket{phase="dns",le="+Inf"} 1',
        'selfheal_latency_seconds_sum{phase="dns"} 2',
        'selfheal_latency_seconds_count{phase="dns"} 1',
    ]


def test_a_histogram_without_labels_has_no_empty_braces() -> None:
    lines = encode([Metric("a", "histogram", "A.").histograms({(): Histogram((1,), (0, 1), 3)})]).decode().splitlines()

    assert lines[2:] == ['a_bucket{le="1.0"} 0', 'a_bucket{le="+Inf"} 1', "a_sum 3", "a_count 1"]


def test_a_count_that_is_missing_from_a_histogram_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"zip"):
        LATENCY.histograms({("x",): Histogram((0.1, 1), (1, 2), 1)})


def test_lines_that_are_rendered_already_follow_the_samples() -> None:
    metric = Metric("a", "gauge", "A.", ("l",))
    family = Family(metric, [(("1",), 1)], ['a{l="2"} 2\n', 'a{l="3"} 3\n'])

    assert encode([family, Family(metric, (), ())]).decode().splitlines()[2:] == [
        'a{l="1"} 1',
        'a{l="2"} 2',
        'a{l="3"} 3',
    ]
    assert encode([Family(metric, (), ["a 1\n"])]).endswith(b"a gauge\na 1\n")


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a\0", "é", 'a"', "a\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a metric"):
        Metric(name, "gauge", "A.")
    with pytest.raises(ValueError, match="is no name of a label"):
        Metric("a", "gauge", "A.", ("good", name))
    with pytest.raises(ValueError, match="is no name of a label"):
        Metric("a", "gauge", "A.", ("a:b",))


def test_a_name_may_have_colons() -> None:
    assert encode([Metric("job:load:max", "gauge", "A.").only(1)]).endswith(b"\njob:load:max 1\n")


def test_a_bool_is_a_number_on_the_page() -> None:
    assert encode([Metric("a", "gauge", "A.").only(True)]).endswith(b"\na 1\n")


def test_families_of_one_name_stand_together_under_the_first_header() -> None:
    first, second = Metric("a", "gauge", "First.", ("l",)), Metric("a", "gauge", "Second.", ("m",))

    page = encode([first.of({("1",): 1}), Metric("b", "gauge", "B.").only(1), second.of({("2",): 2})]).decode()

    assert page == '# HELP a First.\n# TYPE a gauge\na{l="1"} 1\na{m="2"} 2\n# HELP b B.\n# TYPE b gauge\nb 1\n'


@pytest.mark.parametrize(
    ("more", "left"),
    [
        (Metric("a", "gauge", "B.", ("m", "l")).of({("", "1"): 9, ("2", "1"): 2}), 'a{m="2",l="1"} 2\n'),
        (Family(Metric("a", "untyped", "B."), (), ['a{l="1"} 9\n', "a 3\n"]), "a 3\n"),
        (Metric("a", "gauge", "B.", ("l",)).of({("1",): 9}), ""),
    ],
    ids=["empty label and other order", "rendered", "nothing left"],
)
def test_a_series_that_two_families_have_is_told_once(more: Family, left: str) -> None:
    page = encode([Metric("a", "gauge", "A.", ("l",)).of({("1",): 1}), more]).decode()

    assert page == f'# HELP a A.\n# TYPE a gauge\na{{l="1"}} 1\n{left}'


def test_what_a_histogram_counts_is_no_other_familys() -> None:
    found = LATENCY.histograms({("tls",): Histogram((0.1,), (2, 3), 12.5)})
    page = encode([found, Metric(f"{LATENCY.name}_count", "counter", "C.", LATENCY.labels).of({("tls",): 7})])

    assert page == encode([found])


def open_families(*families: Family) -> dict[str, tuple[str, str, list[str]]]:
    """Read an OpenMetrics page with the reference parser: kind, help and sample names by family."""
    page = encode_open(families).decode()
    assert page.endswith("# EOF\n")
    return {
        found.name: (found.type, found.documentation, [sample.name for sample in found.samples])
        for found in text_fd_to_metric_families(io.StringIO(page))
    }


def test_openmetrics_names_a_counters_family_without_total() -> None:
    total = Metric("a_total", "counter", 'The "a" of \\.', ("l",)).of({("1",): 1, ("2",): 2.5})

    assert open_families(total) == {"a": ("counter", 'The "a" of \\.', ["a_total", "a_total"])}
    assert encode([total]).startswith(b'# HELP a_total The "a" of \\\\.\n# TYPE a_total counter\n')


def test_openmetrics_does_not_know_the_kind_of_what_it_does_not_allow() -> None:
    found = open_families(
        Metric("errors", "counter", "E.").only(1),
        Metric("vmstat", "untyped", "V.").only(1),
        Metric("clash_total", "counter", "C.").only(1),
        Metric("clash", "gauge", "G.").only(1),
    )

    assert {name: kind for name, (kind, _, _) in found.items()} == {
        "errors": "unknown",
        "vmstat": "unknown",
        "clash_total": "unknown",
        "clash": "gauge",
    }


def test_a_clash_that_ends_gives_the_counter_its_kind_back() -> None:
    total, other = Metric("a_total", "counter", "A.").only(1), Metric("a", "gauge", "A.").only(1)

    assert open_families(total)["a"][0] == "counter"
    assert open_families(total, other)["a_total"][0] == "unknown"
    assert open_families(total)["a"][0] == "counter"


def test_openmetrics_reads_our_histograms_and_summaries() -> None:
    summary = Metric("s", "summary", "S.")
    found = open_families(
        LATENCY.histograms({("tls",): Histogram((0.1, 1), (2, 3, 4), 12.5)}),
        Family(summary, (), ['s{quantile="0.5"} 1\n', "s_sum 3\n", "s_count 2\n"]),
        Metric("odd", "gauge", "O.", ("l",)).of({("a",): math.nan, ("b",): math.inf, ("c",): -math.inf}),
    )

    assert {name: kind for name, (kind, _, _) in found.items()} == {
        "selfheal_latency_seconds": "histogram",
        "s": "summary",
        "odd": "gauge",
    }
    assert found["selfheal_latency_seconds"][2].count("selfheal_latency_seconds_bucket") == 3


@given(text=st.text(), label=st.text().filter(lambda text: "\0" not in text), value=st.floats(allow_nan=False))
def test_openmetrics_reads_any_label_back(text: str, label: str, value: float) -> None:
    page = encode_open([Metric("a", "gauge", text, ("l",)).of({(label,): value})]).decode()

    (family,) = text_fd_to_metric_families(io.StringIO(page, newline="\n"))
    (sample,) = family.samples
    assert (sample.labels, sample.value) == ({"l": label}, value)


def test_promtool_finds_nothing_in_either_kind_of_line() -> None:
    page = encode([
        LATENCY.histograms({("tls",): Histogram((0.1, 1), (2, 3, 4), 12.5)}),
        Metric("selfheal_things_total", "counter", "Things.").only(3),
    ])  # fmt: skip

    lint = subprocess.run([binary("promtool"), "check", "metrics"], input=page, capture_output=True, timeout=30)

    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")


@pytest.mark.parametrize(("value", "text"), [(10**308, str(10**308)), (10**309, "+Inf"), (-(10**400), "-Inf")])
def test_a_whole_number_beyond_any_float_is_infinite(value: int, text: str) -> None:
    assert (
        encode([Metric("selfheal_thing", "gauge", "A thing.").only(value)]).decode().splitlines()[-1].split()[1] == text
    )
