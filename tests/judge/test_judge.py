"""What no live Prometheus can be brought to say in a test: blips, restarts, failures, and what is kept meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.errors import SourceUnavailable
from remediator.judge import (
    Ask,
    Baseline,
    Case,
    Element,
    ExpressionCase,
    Judgement,
    RuleText,
    Vector,
    Why,
    judge,
    judge_expression,
    left_out_of,
    narrowed_text,
    prepare,
    prepare_expression,
    same_alert_key,
    still_firing,
    take_baseline,
)
from remediator.judge.baseline import MOST_SERIES

END, NOW = 1000.0, 1100.0
OURS = {"instance": "i", "job": "j"}
LABELS = {"alertname": "Alert", "severity": "high", **OURS}
X = 'x{instance="i", job="j"}'
UP = 'up{instance="i", job="j"}'


def answering(answers: Mapping[str, Vector]) -> Ask:
    """Return what answers these texts, and nothing to all others."""
    return lambda query: answers.get(query, ())


def ours(value: float) -> Vector:
    return (Element(OURS, value),)


def fresh(selector: str, at: float = 1099.0, count: int = 50) -> dict[str, Vector]:
    """Return the answers of a selector that has `count` samples since the end, the newest of them at `at`."""
    return {
        selector: ours(1),
        f"timestamp({selector})": ours(at),
        f"count_over_time({selector}[1m39s999ms]) >= 2": ours(count),
    }


def rule(text: str) -> Case:
    case = prepare(RuleText("Alert", text, {"severity": "high"}), {})
    assert isinstance(case, Case), str(case)
    return case


def judged(text: str, before: Mapping[str, Vector], after: Mapping[str, Vector]) -> Judgement:
    case = rule(text)
    return judge(case, LABELS, take_baseline(case, LABELS, answering(before)), END, NOW, answering(after))


def test_a_value_that_is_fresh_and_fine_is_proven_with_the_time_of_its_newest_sample() -> None:
    judgement = judged("x > 5", fresh(X), fresh(X) | {f"{X} - 5": ours(-1)})

    assert (judgement.value, judgement.why, judgement.newest) == ("false", Why.PROVEN, 1099.0)


@pytest.mark.parametrize(
    ("comparison", "healthy", "contradicting"),
    [(">", -1, 1), (">=", -1, 0), ("<", 1, -1), ("<=", 1, 0), ("!=", 0, 2)],
)
def test_a_witness_that_contradicts_the_expression_proves_nothing(
    comparison: str, healthy: float, contradicting: float
) -> None:
    text = f"x {comparison} 5"

    assert judged(text, fresh(X), fresh(X) | {f"{X} - 5": ours(healthy)}).value == "false"
    assert judged(text, fresh(X), fresh(X) | {f"{X} - 5": ours(contradicting)}).why is Why.DISAGREE


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_witness_that_is_no_finite_number_proves_nothing(value: float) -> None:
    assert judged("x > 5", fresh(X), fresh(X) | {f"{X} - 5": ours(value)}).why is Why.NOT_A_NUMBER


def test_a_witness_that_is_missing_proves_nothing() -> None:
    assert judged("x > 5", fresh(X), fresh(X)).why is Why.NO_VALUE


def test_one_good_sample_in_a_window_is_a_blip_while_the_value_now_is_bad() -> None:
    text = "max_over_time(up[30s]) == 0"
    after = fresh(UP) | {f"max_over_time({UP}[30s]) - 0": ours(1)}

    assert judged(text, fresh(UP), after).value == "false"
    assert judged(text, fresh(UP), after | {"up == 0": ours(0)}).why is Why.BLIP
    # another instance that is down is none of ours
    assert judged(text, fresh(UP), after | {"up == 0": (Element({"instance": "k", "job": "j"}, 0),)}).value == "false"


@pytest.mark.parametrize(("scraped", "value"), [(1099.0, "false"), (1099.0005, "false"), (1099.5, "unknown")])
def test_a_target_scraped_later_than_its_series_has_lost_it(scraped: float, value: str) -> None:
    # as after a restart of Prometheus, when old samples live on without staleness markers
    after = fresh(X) | {f"{X} - 5": ours(-1), 'timestamp(up{instance=~"i"})': ours(scraped)}
    judgement = judged("x > 5", fresh(X), after)

    assert judgement.value == value
    assert judgement.why is (Why.PROVEN if value == "false" else Why.NOT_SCRAPED)


def test_a_sample_stored_between_two_questions_is_no_lost_series() -> None:
    after = fresh(X) | {f"{X} - 5": ours(-1), 'timestamp(up{instance=~"i"})': ours(1099.5)}

    assert judged("x > 5", fresh(X), after | {f"timestamp({X}) >= 1099.499": ours(1099.5)}).value == "false"
    strangers = (Element({"instance": "i", "job": "j", "part": "p"}, 1099.5),)
    assert judged("x > 5", fresh(X), after | {f"timestamp({X}) >= 1099.499": strangers}).why is Why.NOT_SCRAPED


# looked at 1100: two samples since 1000, the last at 1034, lie at most 34 s apart, so 66 s without another are not late
@pytest.mark.parametrize(
    ("newest", "count", "why"),
    [
        (1034.0, 2, Why.PROVEN),
        (1033.0, 2, Why.TOO_OLD),
        (1051.0, 3, Why.PROVEN),
        (1049.0, 3, Why.TOO_OLD),
        (1097.0, 50, Why.PROVEN),
        (1095.0, 50, Why.TOO_OLD),
    ],
)
def test_a_series_that_is_sampled_no_more_proves_nothing(newest: float, count: int, why: Why) -> None:
    after = fresh(X, newest, count) | {f"{X} - 5": ours(-1)}

    assert judged("x > 5", fresh(X), after).why is why


def test_a_single_sample_has_no_rhythm_to_be_late_for() -> None:
    case = rule("x > 5")
    after = {f"timestamp({X})": ours(1001.0), f"count_over_time({X}[1m39s999ms]) >= 1": ours(1), f"{X} - 5": ours(-1)}
    baseline = take_baseline(case, LABELS, answering(fresh(X)))

    assert judge(case, LABELS, baseline, END, NOW, answering(after), samples=1).value == "false"


def test_what_was_recorded_of_what_was_recorded_must_rest_on_a_sample_that_had_time_to_get_there() -> None:
    recorded = {
        "one:x": (RuleText("one:x", "x * 2", {}, 15),),
        "two:x": (RuleText("two:x", "one:x / 2", {}, 30),),
    }
    case = prepare(RuleText("Alert", "two:x > 5", {"severity": "high"}), recorded)
    assert isinstance(case, Case)
    one, two = 'one:x{instance="i", job="j"}', 'two:x{instance="i", job="j"}'
    before = fresh(X) | fresh(one) | fresh(two)
    span = "1m39s999ms"
    late = {
        f"count_over_time({one}[{span}]) >= 2 and count_over_time({one}[1m9s999ms] offset 30s)": ours(7),
        f"count_over_time({X}[{span}]) >= 2 and count_over_time({X}[54s999ms] offset 45s)": ours(7),
        f"{two} - 5": ours(-1),
    }
    baseline = take_baseline(case, LABELS, answering(before))

    assert judge(case, LABELS, baseline, END, NOW, answering(before | late)).value == "false"
    for missing in list(late)[:2]:
        rest = {query: answer for query, answer in late.items() if query != missing}
        assert judge(case, LABELS, baseline, END, NOW, answering(before | rest)).why is Why.TOO_FEW_SAMPLES
    assert judge(case, LABELS, baseline, NOW - 45, NOW, answering(before | late)).why is Why.TOO_FEW_SAMPLES


def test_another_target_at_the_same_address_says_nothing_of_ours() -> None:
    other = (Element({"instance": "i", "job": "other"}, 1099.9),)
    after = fresh(X) | {f"{X} - 5": ours(-1), 'timestamp(up{instance=~"i"})': other}

    assert judged("x > 5", fresh(X), after).value == "false"


def test_without_data_before_the_action_nothing_is_proven_after_it() -> None:
    assert judged("x > 5", {}, fresh(X) | {f"{X} - 5": ours(-1)}).why is Why.NO_BASELINE


def test_a_baseline_of_another_expression_proves_nothing() -> None:
    case = rule("x > 5")
    other = take_baseline(rule("y > 5"), LABELS, answering({}))

    assert judge(case, LABELS, other, END, NOW, answering(fresh(X))).why is Why.NO_BASELINE


def test_too_many_series_are_not_kept_and_prove_nothing() -> None:
    many = tuple(Element({**OURS, "n": str(n)}, 1) for n in range(MOST_SERIES + 1))
    case = rule("sum by (instance, job) (x) > 5")
    kept = take_baseline(case, LABELS, answering({X: many[:-1]}))
    dropped = take_baseline(case, LABELS, answering({X: many}))

    assert len(kept.seen[X]) == MOST_SERIES
    assert dropped.to_json() == {"seen": {}, "too_many": [X]}
    assert judge(case, LABELS, dropped, END, NOW, answering({})).why is Why.TOO_MANY_SERIES


def test_a_window_must_lie_wholly_after_the_action() -> None:
    witness = {f"rate({X}[100s]) - 5".replace("100s", "1m40s"): ours(-1)}
    case = rule("rate(x[100s]) > 5")
    baseline = take_baseline(case, LABELS, answering(fresh(X)))

    assert judge(case, LABELS, baseline, END, NOW, answering(fresh(X) | witness)).why is Why.WINDOW_OPEN
    later = fresh(X) | witness
    ask = answering({key.replace("[1m39s999ms]", "[1m40s]"): value for key, value in later.items()})
    assert judge(case, LABELS, baseline, END, NOW + 0.002, ask).value == "false"


def test_a_source_that_fails_leaves_it_unknown() -> None:
    def failing(query: str) -> Vector:
        raise SourceUnavailable("prometheus", "no answer in time")

    case = rule("x > 5")
    judgement = judge(case, LABELS, Baseline({X: frozenset()}), END, NOW, failing)

    assert (judgement.value, judgement.why) == ("unknown", Why.UNAVAILABLE)
    assert judgement.readings[-1].answer == "prometheus: no answer in time"


def test_in_an_or_a_branch_that_had_no_data_is_not_asked_for_proof() -> None:
    after = fresh(X) | {f"{X} - 5": ours(-1)}

    assert judged("x > 5 or y > 5", fresh(X), after).value == "false"
    assert judged("x > 5 or y > 5", fresh(X), after | {"y > 5": ours(9)}).value == "true"
    assert judged("x > 5 or y > 5", {}, {}).why is Why.NO_BASELINE


def test_an_and_is_healed_when_its_floor_is_though_the_slope_is_not_known() -> None:
    floor = fresh(X) | {f"{X} - 50": ours(-40)}

    assert judged("deriv(x[1h]) > 1 and x > 50", fresh(X), floor).value == "false"
    assert judged("deriv(x[1h]) > 1 and x > 50", fresh(X), fresh(X) | {"x > 50": ours(60)}).why is Why.WINDOW_OPEN
    both = fresh(X) | {"x > 50": ours(60), "deriv(x[1h]) > 1": ours(2)}
    assert judged("deriv(x[1h]) > 1 and x > 50", fresh(X), both).why is Why.STILL_TRUE


def test_a_side_that_shares_no_label_with_the_alert_cannot_prove_it_healed() -> None:
    text = "x > 50 and on (cluster) x > 60"
    after = {"x > 50": ours(55)}

    assert judged(text, fresh(X), fresh(X) | after).value == "unknown"
    assert judged(text, fresh(X), fresh(X) | after).why is Why.SUPPRESSED


def test_a_threshold_that_came_up_after_the_action_proves_nothing() -> None:
    text = "x > on (instance) group_left () (max by (instance) (limit) or group by (instance) (x) * 5)"
    near, limit = 'x{instance="i"}', 'limit{instance="i"}'
    bracket = f"(max by (instance) ({limit}) or (group by (instance) ({near}) * 5))"
    before = fresh(X) | fresh(near)
    after = before | {f"{X} - on (instance) group_left () {bracket}": ours(-1)}

    assert judged(text, before, after).value == "false"
    assert judged(text, before, after | fresh(limit)).why is Why.APPEARED
    # one that was there and is gone has moved it too
    assert judged(text, before | fresh(limit), after).why is Why.SERIES_GONE


def test_a_neighbour_below_group_counts_by_target_only() -> None:
    text = "x > on (instance) group_left () (group by (instance) (x) * 5)"
    near = 'x{instance="i"}'
    before = fresh(X) | {near: (Element({**OURS, "part": "gone"}, 1), Element({**OURS, "part": "stays"}, 1))}
    witness = f"{X} - on (instance) group_left () (group by (instance) ({near}) * 5)"
    after = fresh(X) | fresh(near) | {witness: ours(-1)}

    assert judged(text, before, after).value == "false"


def test_a_baseline_survives_being_stored() -> None:
    baseline = take_baseline(rule("x > 5"), LABELS, answering(fresh(X)))
    stored = json.loads(json.dumps(baseline.to_json()))

    assert stored == {"seen": {X: [OURS]}, "too_many": []}
    assert Baseline.from_json(stored) == baseline


def test_evidence_holds_questions_and_values_but_no_labels_of_others() -> None:
    stranger = (Element({"instance": "<script>"}, 9.0),)
    judgement = judged("x > 5", fresh(X), fresh(X) | {"x > 5": stranger, f"{X} - 5": ours(-1.25)})

    found = json.dumps(judgement.to_json())
    assert "<script>" not in found
    assert {"query": f"{X} - 5", "answer": "1 series, 1 of this alert: -1.25"} in judgement.to_json()["readings"]


def declared(before: Mapping[str, Vector], after: Mapping[str, Vector], end: float = END) -> Judgement:
    case = prepare_expression("y < 5", {})
    assert isinstance(case, ExpressionCase)
    held = {"instance": "i"}
    return judge_expression(case, held, take_baseline(case, held, answering(before)), end, NOW, answering(after))


def test_a_declared_expression_is_true_false_or_unknown() -> None:
    near = 'y{instance="i"}'

    assert declared({}, fresh(near) | {"y < 5": ours(1)}).value == "true"
    assert declared({}, fresh(near)).value == "false"
    assert declared({}, fresh(near) | {"y < 5": (Element({"instance": "k"}, 1),)}).value == "false"
    assert declared({}, {"y < 5": ours(1)}).why is Why.NO_VALUE
    assert declared(fresh(near), {"y < 5": ours(1)}).why is Why.SERIES_GONE
    assert declared({}, fresh(near) | {"y < 5": ours(float("nan"))}).why is Why.NOT_A_NUMBER
    assert declared({}, {f"timestamp({near})": ours(1099), "y < 5": ours(1)}).why is Why.TOO_FEW_SAMPLES
    assert declared({}, fresh(near) | {"y < 5": ours(1)}, NOW).why is Why.WINDOW_OPEN


def test_an_alert_is_compared_without_the_labels_that_are_not_of_its_series() -> None:
    left_out = left_out_of({"severity": "high"}, ("replica",))
    alert = {**LABELS, "replica": "a"}

    assert still_firing("x > 5", alert, left_out, answering({"x > 5": ours(9)}))
    assert not still_firing("x > 5", alert | {"site": "b"}, left_out, answering({"x > 5": ours(9)}))
    assert not still_firing("x > 5", alert, left_out, answering({"x > 5": (Element({"instance": "i"}, 9),)}))


@pytest.mark.parametrize(
    ("series", "firing"),
    [
        ({}, True),
        ({"site": "a"}, True),
        ({"site": "b"}, False),
        ({"rack": "1"}, False),
        ({"site": "a", "env": "p"}, True),
    ],
)
def test_a_series_keeps_its_own_value_of_an_external_label(series: dict[str, str], firing: bool) -> None:
    alert = {**LABELS, "site": "a", "env": "p"}
    ask = answering({"x > 5": (Element({**OURS, **series}, 9),)})

    assert (
        still_firing("x > 5", alert, left_out_of({"severity"}, ()), ask, frozenset({"site", "env", "zone"})) is firing
    )


def test_more_external_labels_than_can_be_tried_are_taken_for_added() -> None:
    names = [f"e{number}" for number in range(8)]
    alert = {**LABELS, **dict.fromkeys(names, "v")}
    left_out = left_out_of({"severity"}, ())

    assert still_firing("x", alert, left_out, answering({"x": ours(9)}), frozenset(names))
    kept = (Element({**OURS, "e0": "v"}, 9),)
    assert still_firing("x", alert, left_out, answering({"x": kept}), frozenset(names))
    assert not still_firing(
        "x", alert, left_out, answering({"x": (Element({**OURS, "e7": "w"}, 9),)}), frozenset(names)
    )


PAIRS = st.dictionaries(st.text(max_size=4), st.text(min_size=1, max_size=4), max_size=4)


@given(PAIRS, PAIRS)
def test_two_label_sets_share_a_key_only_when_they_are_the_same(one: dict[str, str], other: dict[str, str]) -> None:
    none = frozenset[str]()

    assert (same_alert_key(one.items(), none) == same_alert_key(other.items(), none)) is (one == other)


@pytest.mark.parametrize(
    ("text", "narrowed"),
    [
        ("x > 5", f"{X} > 5"),
        ("sum by (instance) (x) > 5", 'sum by (instance) (x{instance="i"}) > 5'),
        ("x > 5 unless y", None),
        ("absent(x)", None),
        ("topk(1, x) > 5", None),
        ("x > scalar(y)", None),
        ("x >", None),
    ],
)
def test_a_question_is_narrowed_only_where_its_answer_would_still_be_a_proof(text: str, narrowed: str | None) -> None:
    assert narrowed_text(text, OURS) == narrowed
