"""When a playbook has earned the next rung: the score interval, and every condition on both sides of its boundary."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model import Mode
from remediator.model.trust import (
    BOUND,
    RUNS,
    SPAN,
    Evidence,
    Ladder,
    Missing,
    above,
    below,
    is_below,
    lowest,
    wilson_lower_bound,
)

COUNTS = st.integers(1, 5_000).flatmap(lambda judged: st.tuples(st.integers(0, judged), st.just(judged)))
ENOUGH = Evidence(judged=40, succeeded=40, first_at=0.0, last_at=SPAN, recent="11111")
READY = Ladder(Mode.APPROVE, Mode.AUTO, True, ENOUGH)


@pytest.mark.parametrize(
    ("succeeded", "judged", "expected"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553),
        (15, 148, 0.0624),
        (0, 20, 0.0),
        (1, 29, 0.0061),
        # without a failure it is n / (n + z²)
        (10, 10, 10 / 13.841459),
        (20, 20, 20 / 23.841459),
        (50, 100, 0.4038),
        (0, 0, 0.0),
    ],
)
def test_the_bound_is_the_published_one(succeeded: int, judged: int, expected: float) -> None:
    assert wilson_lower_bound(succeeded, judged) == pytest.approx(expected, abs=5e-5)


def test_the_fewest_runs_without_a_failure_that_reach_it_are_two_more_than_are_asked_for() -> None:
    def fewest(failures: int) -> int:
        return next(n for n in range(RUNS, 99) if wilson_lower_bound(n - failures, n) >= BOUND)

    # the page says so
    assert [fewest(failures) for failures in (0, 1, 2)] == [22, 34, 45]


@given(COUNTS)
def test_the_bound_lies_below_the_share_and_solves_the_interval_s_equation(counts: tuple[int, int]) -> None:
    succeeded, judged = counts
    bound = wilson_lower_bound(succeeded, judged)

    assert 0.0 <= bound <= succeeded / judged
    # the share lies just as far above it as chance reaches at this bound
    reach = 1.959963984540054 * math.sqrt(bound * (1 - bound) / judged)
    assert succeeded / judged - bound == pytest.approx(reach, abs=1e-9)


@given(COUNTS)
def test_one_more_success_raises_the_bound_and_one_more_failure_lowers_it(counts: tuple[int, int]) -> None:
    succeeded, judged = counts
    bound = wilson_lower_bound(succeeded, judged)

    assert wilson_lower_bound(succeeded + 1, judged + 1) > bound
    assert wilson_lower_bound(succeeded, judged + 1) < bound or succeeded == 0
    # the same share of more is more certain
    assert wilson_lower_bound(2 * succeeded, 2 * judged) > bound or succeeded == 0


@pytest.mark.parametrize(("succeeded", "judged"), [(-1, 3), (4, 3)])
def test_what_is_no_share_is_an_error(succeeded: int, judged: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson_lower_bound(succeeded, judged)


def of(**changes: object) -> Ladder:
    return replace(READY, evidence=replace(ENOUGH, **changes))


@pytest.mark.parametrize(
    ("ladder", "missing"),
    [
        pytest.param(READY, (), id="all there"),
        # both numbers at their boundary: the bound asks for 22 of 22
        pytest.param(of(judged=22, succeeded=22), (), id="22 of 22"),
        pytest.param(of(judged=21, succeeded=21), (Missing.BOUND,), id="21 of 21"),
        pytest.param(of(judged=20, succeeded=20), (Missing.BOUND,), id="20 of 20"),
        pytest.param(of(judged=19, succeeded=19), (Missing.RUNS, Missing.BOUND), id="19 of 19"),
        pytest.param(of(judged=34, succeeded=33), (), id="33 of 34"),
        pytest.param(of(judged=33, succeeded=32), (Missing.BOUND,), id="32 of 33"),
        pytest.param(of(last_at=SPAN - 1), (Missing.SPAN,), id="a second less than seven days"),
        pytest.param(of(first_at=None, last_at=None), (Missing.SPAN,), id="no time at all"),
        pytest.param(replace(READY, unknown=1), (Missing.UNKNOWN,), id="an open unknown"),
        pytest.param(replace(READY, proves=False), (Missing.NO_PROOF,), id="verify none"),
        pytest.param(replace(READY, highest=Mode.APPROVE), (Missing.HIGHEST_MODE,), id="capped"),
        pytest.param(replace(READY, mode=Mode.OBSERVE, highest=Mode.APPROVE), (), id="capped one above"),
        pytest.param(replace(READY, mode=Mode.AUTO), (Missing.HIGHEST,), id="the highest rung"),
    ],
)
def test_each_condition_holds_back_by_itself(ladder: Ladder, missing: tuple[Missing, ...]) -> None:
    assert ladder.missing() == missing


@pytest.mark.parametrize(
    ("recent", "demotes"),
    [("", False), ("0", False), ("00", True), ("01110", True), ("01111", False), ("11101", False), ("10101", True)],
)
def test_two_of_the_newest_five_that_were_not_fixed_demote(recent: str, demotes: bool) -> None:
    assert Evidence(recent=recent).demotes() is demotes


def test_the_rungs_are_in_order() -> None:
    observe, approve, auto = Mode.OBSERVE, Mode.APPROVE, Mode.AUTO

    assert [above(each) for each in (observe, approve, auto)] == [approve, auto, None]
    assert [below(each) for each in (observe, approve, auto)] == [observe, observe, approve]
    assert lowest(auto, approve) is approve
    assert is_below(observe, approve)
    assert not is_below(approve, approve)
