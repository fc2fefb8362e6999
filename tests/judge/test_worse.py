"""Worse: the compared quantity, which way it is worse, and what of a change is only noise."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.judge import (
    Before,
    Case,
    Element,
    ExpressionCase,
    RuleText,
    Witness,
    before,
    declared_witnesses,
    judge,
    prepare,
    prepare_expression,
    take_baseline,
    witnesses,
)
from remediator.judge.noise import LEAST_POINTS
from tests.judge.test_judge import END, LABELS, NOW, answering, fresh, ours

ABOVE = "x > 5"


def rule(text: str) -> Case:
    case = prepare(RuleText("Alert", text, {"severity": "high"}), {})
    assert isinstance(case, Case), str(case)
    return case


def witness(text: str) -> Witness:
    (found,) = witnesses(rule(text), LABELS)
    return found


def was(text: str, *values: float) -> Before | None:
    return before(witness(text), [(float(at), value) for at, value in enumerate(values)])


def worse(text: str, values: list[float], later: float, after: float = 5.0) -> bool:
    found = was(text, *values)
    assert found is not None
    return found.is_worse(len(values) - 1 + after, later)


@pytest.mark.parametrize(
    ("text", "query", "threshold", "way"),
    [
        ("x > 5", 'x{instance="i", job="j"}', 5, 1),
        ("x >= -5", 'x{instance="i", job="j"}', -5, 1),
        ("x < 5", 'x{instance="i", job="j"}', 5, -1),
        ("10 >= x", 'x{instance="i", job="j"}', 10, -1),
        ("5 < x", 'x{instance="i", job="j"}', 5, 1),
        ("x == 1", 'x{instance="i", job="j"}', 1, 0),
        ("x > y", 'x{instance="i", job="j"} - y{instance="i", job="j"}', 0, 1),
        ("x <= y", 'x{instance="i", job="j"} - y{instance="i", job="j"}', 0, -1),
        ("deriv(x[1m]) > 1 and x > 50", 'x{instance="i", job="j"}', 50, 1),
        ("x > 80 unless x > 95", 'x{instance="i", job="j"}', 80, 1),
    ],
)
def test_a_rule_has_a_quantity_and_a_way_that_is_worse(text: str, query: str, threshold: float, way: int) -> None:
    found = witness(text)

    assert (found.query, found.threshold, found.worse) == (query, threshold, way)


def test_each_branch_of_an_or_has_a_quantity_of_its_own() -> None:
    assert [found.threshold for found in witnesses(rule("x > 5 or y < 3"), LABELS)] == [5, 3]


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [("x > 5", 5, 5.1), ("x >= 5", 4.9, 5), ("x < 5", 5, 4.9), ("x <= 5", 5.1, 5), ("10 >= x", 10.1, 10)],
)
def test_a_value_is_bad_exactly_where_the_comparison_holds(text: str, good: float, bad: float) -> None:
    assert not witness(text).is_bad(good)
    assert witness(text).is_bad(bad)


def test_where_no_way_is_worse_nothing_is() -> None:
    assert not witness("x != 1").is_bad(7)
    assert was("x != 1", *[7.0] * 20) is None


# steady at 10: a twentieth of it is noise even where nothing moved
@pytest.mark.parametrize(("later", "expected"), [(10.5, False), (10.51, True), (9, False)])
def test_a_still_quantity_must_move_by_a_twentieth(later: float, expected: bool) -> None:
    assert worse(ABOVE, [10.0] * 10, later) is expected


@pytest.mark.parametrize(("later", "expected"), [(13.9, False), (14.1, True)])
def test_a_restless_quantity_must_leave_its_own_spread(later: float, expected: bool) -> None:
    # between 8 and 12, so 2 around its middle of 10
    assert worse(ABOVE, [8.0, 12.0] * 10, later) is expected


@pytest.mark.parametrize(("later", "expected"), [(9.4, False), (9.6, True)])
def test_the_step_from_well_to_ill_is_the_fault_and_no_noise(later: float, expected: bool) -> None:
    assert worse(ABOVE, [0.0] * 10 + [9.0] * 5, later) is expected


@pytest.mark.parametrize(("later", "expected"), [(2.76, False), (2.74, True)])
def test_less_is_worse_where_the_rule_says_so(later: float, expected: bool) -> None:
    assert worse("x < 5", [3.0] * 10, later) is expected


@pytest.mark.parametrize(("later", "expected"), [(27.0, False), (33.0, True)])
def test_what_was_getting_worse_all_along_is_not_made_worse_by_going_on(later: float, expected: bool) -> None:
    # 10, 11, … 19 and five seconds on: 24 was to be expected, and up to a twentieth of 19 more
    assert worse(ABOVE, [float(value) for value in range(10, 20)], 24.9) is False
    assert worse(ABOVE, [float(value) for value in range(10, 20)], later, after=10) is expected


@pytest.mark.parametrize("step", [5.0, 8.0, 11.0, 16.0])
def test_what_had_only_just_become_bad_and_goes_on_rising_is_not_made_worse(step: float) -> None:
    values = [50.0] * 30
    while values[-1] <= 80:
        values.append(values[-1] + step)

    assert not any(worse("x > 80", values, values[-1] + step * after, float(after)) for after in range(1, 9))
    assert worse("x > 80", values, values[-1] + step * 8 + 40, 8.0)


def test_what_became_bad_at_once_was_not_rising() -> None:
    assert worse("x > 80", [50.0] * 30 + [90.0], 100.0)


@pytest.mark.parametrize("count", [LEAST_POINTS - 1, LEAST_POINTS])
def test_of_too_few_values_no_noise_is_known(count: int) -> None:
    assert (was(ABOVE, *[9.0] * count) is None) is (count < LEAST_POINTS)


def test_what_was_not_bad_at_the_end_has_nothing_to_compare_with() -> None:
    assert was(ABOVE, *[9.0] * 9, 4.0) is None


def test_what_is_kept_of_before_survives_json() -> None:
    found = was(ABOVE, *[8.0, 12.0] * 10)
    assert found is not None

    assert Before.from_json(json.loads(json.dumps(found.to_json()))) == found


@given(st.lists(st.floats(5.001, 1e6), min_size=LEAST_POINTS, max_size=40), st.floats(0, 1))
def test_nothing_that_was_there_before_is_ever_worse(values: list[float], part: float) -> None:
    found = was(ABOVE, *values)

    assert found is not None
    assert not any(found.is_worse(len(values) + 1.0, value * part) for value in values)
    assert all(
        found.is_worse(100.0, higher) >= found.is_worse(100.0, lower) for lower, higher in pairwise(sorted(values))
    )


X = 'x{instance="i", job="j"}'


def bad(after: dict[str, tuple[object, ...]]) -> dict[str, float]:
    case = rule(ABOVE)
    answers = fresh(X) | {ABOVE: ours(9), X: ours(9)} | after
    baseline = take_baseline(case, LABELS, answering(fresh(X)))
    judgement = judge(case, LABELS, baseline, END, NOW, answering(answers))  # type: ignore[arg-type]
    assert judgement.value == "true"
    return dict(judgement.bad)


def test_a_bad_value_counts_only_from_samples_newer_than_the_action() -> None:
    assert bad({}) == {X: 9}
    assert bad({f"count_over_time({X}[1m39s999ms]) >= 2": ()}) == {}
    assert bad({f"timestamp({X})": ours(END - 1)}) == {}
    assert bad({X: ours(float("nan"))}) == {}
    # scraped since without giving the series, as after a restart of Prometheus
    assert bad({'timestamp(up{instance=~"i"})': ours(1099.5)}) == {}


HERE = {"instance": "i"}


def declared(text: str) -> ExpressionCase:
    case = prepare_expression(text, {})
    assert isinstance(case, ExpressionCase), str(case)
    return case


@pytest.mark.parametrize(
    ("text", "quantities"),
    [
        ("x < 5", [('x{instance="i"}', 5, 1, 5.0)]),
        ("x <= 5", [('x{instance="i"}', 5, 1, 5.1)]),
        ("x > 5", [('x{instance="i"}', 5, -1, 5.0)]),
        ("5 > x", [('x{instance="i"}', 5, 1, 5.0)]),
        ("x < y", [('x{instance="i"} - y{instance="i"}', 0, 1, 0.0)]),
        ("x < 5 and y >= 2", [('x{instance="i"}', 5, 1, 5.0), ('y{instance="i"}', 2, -1, 1.9)]),
        ("x < 5 and y", [('x{instance="i"}', 5, 1, 5.0)]),
        ("x == 0", [('x{instance="i"}', 0, 0, None)]),
        ("x", []),
        ("x < 5 or y < 5", []),
        ("x unless y > 5", []),
    ],
)
def test_what_is_declared_healthy_is_worse_the_other_way(
    text: str, quantities: list[tuple[str, float, int, float | None]]
) -> None:
    found = declared_witnesses(declared(text), HERE)

    assert [(each.query, each.threshold, each.worse) for each in found] == [each[:3] for each in quantities]
    for witness, (*_, ill) in zip(found, quantities, strict=True):
        assert ill is None or witness.is_bad(ill)
        assert not any(map(witness.is_bad, [] if ill is None else [ill - 0.2 * witness.worse]))


@pytest.mark.parametrize(("text", "says"), [("x < 5", 7.0), ("x > 5", 9.0)])
def test_of_several_elements_of_what_is_declared_the_best_one_speaks(text: str, says: float) -> None:
    (witness,) = declared_witnesses(declared(text), HERE)
    answer = [Element({"instance": "i", "part": part}, value) for part, value in (("a", 7.0), ("b", 9.0))]

    assert witness.value(answer) == says
    assert witness.value([]) is None
