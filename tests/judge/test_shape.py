"""What can be judged, by which proof, and the exact words of every refusal."""

from __future__ import annotations

import pytest

from remediator.judge import Case, ExpressionCase, Proof, Refusal, RuleText, prepare, prepare_expression, recorded_names
from remediator.judge.inputs import Recorded

RECORDED: Recorded = {
    "used:ratio": (RuleText("used:ratio", "1 - avail / size", {}, 15),),
    "cpu:rate": (RuleText("cpu:rate", "rate(cpu_total[2m])", {}, 15),),
    "cpu:worst": (RuleText("cpu:worst", "max by (instance) (cpu:rate)", {}, 30),),
    "limit": (RuleText("limit", "vector(0.9)", {"check": "c"}, 15),),
    "loop:one": (RuleText("loop:one", "loop:two + 1", {}, 15),),
    "loop:two": (RuleText("loop:two", "loop:one + 1", {}, 15),),
    "odd:sorted": (RuleText("odd:sorted", "sort_by_label(x, 'y')", {}, 15),),
    "odd:broken": (RuleText("odd:broken", "sum(", {}, 15),),
    "odd:floor": (RuleText("odd:floor", "min_over_time(x[5m])", {}, 15),),
    "odd:future": (RuleText("odd:future", "x offset -5m", {}, 15),),
}
BRACKET = '(max by (instance) (limit{check="c"}) or group by (instance) (used:ratio) * 0.8)'

# expression → proof, seconds until provable, longest window
ACCEPTED = {
    "x > 5": (Proof.TWO_SCRAPES, 0, 0),
    "5 < x": (Proof.TWO_SCRAPES, 0, 0),
    "x != 1": (Proof.TWO_SCRAPES, 0, 0),
    "up == 0": (Proof.TWO_SCRAPES, 0, 0),
    "x == 1": (Proof.TWO_SCRAPES, 0, 0),
    "max_over_time(up[15s]) == 0": (Proof.WINDOW, 15, 15),
    "-x < -5": (Proof.TWO_SCRAPES, 0, 0),
    "time() - x > 300": (Proof.TWO_SCRAPES, 0, 0),
    "a / ignoring (mode) b > 0.5": (Proof.TWO_SCRAPES, 0, 0),
    "sum by (instance) (x) > 20": (Proof.TWO_SCRAPES, 0, 0),
    "count(up) < 3": (Proof.TWO_SCRAPES, 0, 0),
    "rate(x[1m]) > 0.5": (Proof.WINDOW, 60, 60),
    "rate(x[1m]) / rate(y[5m]) > 0.5": (Proof.WINDOW, 300, 300),
    "deriv(x[1m]) > 1 and x > 50": (Proof.TWO_SCRAPES, 0, 60),
    "predict_linear(avail[1h], 4 * 3600) < 0 and avail / size < 0.2": (Proof.TWO_SCRAPES, 0, 3600),
    "predict_linear(avail[1h], 4 * 3600) < 0 and used:ratio > 0.8": (Proof.TWO_SCRAPES, 0, 3600),
    f"used:ratio > on (instance) group_left () {BRACKET}": (Proof.TWO_SCRAPES, 0, 0),
    "cpu:rate > 0.9": (Proof.WINDOW, 135, 135),
    "cpu:worst > 0.9": (Proof.WINDOW, 165, 165),
    "x > 80 unless maintenance == 1": (Proof.TWO_SCRAPES, 0, 0),
    "x > 80 unless absent(topk(3, y))": (Proof.TWO_SCRAPES, 0, 0),
    "x > 80 and on () hour() > 8": (Proof.TWO_SCRAPES, 0, 0),
    "x > 80 and on () (count(clock > 8) > 0)": (Proof.TWO_SCRAPES, 0, 0),
    "a > 5 or rate(b[1m]) > 5": (Proof.WINDOW, 60, 60),
    "a > 5 or b < 3 or deriv(x[1m]) > 1 and x > 50": (Proof.TWO_SCRAPES, 0, 60),
    "deriv(x[1m]) > 1 and x > 50 and x / 2 > 20": (Proof.TWO_SCRAPES, 0, 60),
}

REMEDY = "; declare `healthy:` in the playbook"
REFUSED = {
    "vector(1)": "it fires because `vector(1)` exists, nothing is compared",
    "event_happened": "it fires because `event_happened` exists, nothing is compared",
    "absent(up)": "it fires because `absent(up)` exists, nothing is compared",
    "a unless b": "it fires because `a` exists, nothing is compared",
    "a > 5 and b": "it fires because `b` exists, nothing is compared",
    "time() > vector(5)": "`time() > vector(5)` compares no series",
    "x > bool 5": "`x > bool 5` is a bool comparison, which always returns something",
    "80 < x < 95": "`80 < x` is a comparison inside a comparison",
    "sum by (instance) (x > 5) > 20": "`x > 5` is a comparison inside a comparison",
    "x > 80 and x < 95": "`x < 95` is a band: what is worse would look healthy",
    "used:ratio > 0.8 and avail > 10": "`avail > 10` is a band: what is worse would look healthy",
    "x > 5 and abs(x - 3) > 1": "`abs(x - 3) > 1` is a band: what is worse would look healthy",
    "x == 2": "`x == 2` is a band: what is worse would look healthy",
    "x == y": "`x == y` is a band: what is worse would look healthy",
    "x > 80 and up == 1": "`up == 1` does not measure the same fault as what stands before its `and`",
    "x > 80 and on (instance) y > 5": "`y > 5` does not measure the same fault as what stands before its `and`",
    'x{k="a"} > 80 and on (instance) x{k="b"} > 0': (
        '`x{k="b"} > 0` does not measure the same fault as what stands before its `and`'
    ),
    "(a > 5 or b > 5) and a > 6": "`(a > 5) or (b > 5)` is an `or` inside an `and`",
    "a > 5 and (a > 6 or b > 5)": "`(a > 6) or (b > 5)` is an `or` inside an `and`",
    "(a or b) > 5": "`a or b` stands in what is compared; only a threshold on the right may hold `or`",
    "a > (b unless c)": "`b unless c` stands in what is compared; only a threshold on the right may hold `or`",
    "(a and b) > 5": "`a and b` stands in what is compared; only a threshold on the right may hold `or`",
    "a > on (instance) group_left (v) b": "`a > on (instance) group_left (v) b` copies labels from its other side",
    "a * on (i) group_left (v) b > 5": "`a * on (i) group_left (v) b` copies labels from its other side",
    "histogram_quantile(0.9, rate(x[5m])) > 1": "function `histogram_quantile` is not among those that can be judged",
    "x > scalar(max(y))": "function `scalar` is not among those that can be judged",
    'label_replace(x, "a", "b", "c", "d") > 5': "function `label_replace` is not among those that can be judged",
    "x > absent(y)": "function `absent` is not among those that can be judged",
    "topk(3, x) > 5": "aggregation `topk` is not among those that can be judged",
    "quantile(0.9, x) > 5": "aggregation `quantile` is not among those that can be judged",
    "x > 2 * x offset 1h": "`x offset 1h` is compared at another time",
    "rate(x[5m] offset 1h) > 5": "`x[5m] offset 1h` is compared at another time",
    "max_over_time(rate(x[1m])[5m:]) > 5": "`(rate(x[1m]))[5m:]` is a subquery",
    "loop:one > 5": "recorded rule `loop:one` is made from itself, or from too many others",
    "odd:sorted > 5": (
        "recorded rule `odd:sorted` cannot be followed: function `sort_by_label` is not among those that can be judged"
    ),
    "odd:floor > 5": (
        "recorded rule `odd:floor` cannot be followed: function `min_over_time` is not among those that can be judged"
    ),
    "odd:future > 5": "recorded rule `odd:future` cannot be followed: `x offset -5m` is compared at another time",
    "(x - avg_over_time(x[5m])) / stddev_over_time(x[5m]) > 3": (
        "function `stddev_over_time` is not among those that can be judged"
    ),
    "absent_over_time(x[5m])": "it fires because `absent_over_time(x[5m])` exists, nothing is compared",
    'ALERTS{alertname="Other"}': 'it fires because `ALERTS{alertname="Other"}` exists, nothing is compared',
    'ALERTS{severity="info"} == 1 unless on (job) other': (
        '`ALERTS{severity="info"}` tells which alerts are on, and one that is silent is no proof'
    ),
    "count by (job) (x == 0) > 1": "`x == 0` is a comparison inside a comparison",
    "sum by (job) (x > bool 5) > 1": "`x > bool 5` is a comparison inside a comparison",
    "x > 5 and on (instance) info": "it fires because `info` exists, nothing is compared",
    "x @ 5 > 5": "it is pinned to a time by @",
    'x{a="1" or b="2"} > 5': "it joins matchers with or",
}

NOT_DECLARED = {
    "absent(x)": "`absent(x)` drops the label instance, so another host could answer for this one",
    "up unless absent(x)": "function `absent` is not among those that can be judged",
    "vector(1)": "`vector(1)` returns something whatever happens",
    "up == 1 or vector(1)": "`vector(1)` returns something whatever happens",
    "scalar(up)": "`scalar(up)` returns something whatever happens",
    "x > bool 1": "`x > bool 1` returns something whatever happens",
    "sum(up) >= 1": "`sum (up) >= 1` drops the label instance, so another host could answer for this one",
    "topk(1, x) < 5": "aggregation `topk` is not among those that can be judged",
}


def prepared(text: str) -> Case | Refusal:
    return prepare(RuleText("Alert", text, {}, 15, 0), RECORDED)


@pytest.mark.parametrize("text", ACCEPTED)
def test_a_known_shape_is_accepted_with_its_proof(text: str) -> None:
    case = prepared(text)

    assert isinstance(case, Case), str(case)
    assert (case.proof, case.window_seconds, case.longest_seconds) == ACCEPTED[text]


@pytest.mark.parametrize("text", REFUSED)
def test_every_other_shape_is_refused_with_reason_and_remedy(text: str) -> None:
    refusal = prepared(text)

    assert isinstance(refusal, Refusal), text
    assert str(refusal) == REFUSED[text] + REMEDY


def test_what_does_not_parse_is_refused() -> None:
    for text in ("x >", "odd:broken > 5"):
        refusal = prepared(text)

        assert isinstance(refusal, Refusal)
        assert "it does not parse" in str(refusal)


def test_a_long_part_is_cut_in_the_message() -> None:
    refusal = prepared("long_" + "x" * 500)

    assert isinstance(refusal, Refusal)
    assert len(refusal.part) == 198


@pytest.mark.parametrize("text", NOT_DECLARED)
def test_what_says_all_is_well_must_be_able_to_return_nothing_for_this_instance(text: str) -> None:
    refusal = prepare_expression(text, RECORDED)

    assert isinstance(refusal, Refusal), text
    assert str(refusal) == NOT_DECLARED[text] + "; write an expression over measured series"


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ('up{service="web"} == 1', 0),
        ("rate(x[1m]) < 5 and on (instance) up == 1", 60),
        ("cpu:rate < 0.5", 135),
        ("histogram_quantile(0.9, sum by (le, instance) (rate(x[2m]))) < 1", 120),
        ("max_over_time(rate(x[1m])[5m:]) < 5", 360),
        ("x offset 1m < 5", 60),
    ],
)
def test_a_declared_expression_may_be_richer(text: str, window: float) -> None:
    case = prepare_expression(text, RECORDED)

    assert isinstance(case, ExpressionCase), str(case)
    assert case.window_seconds == window


def test_names_are_found_for_looking_up_recorded_rules() -> None:
    assert recorded_names("rate(a[5m]) > b and a > 5") == ("a", "b")
    assert recorded_names("a >") == ()
