"""Three values, every pair."""

from __future__ import annotations

import pytest

from remediator.judge.logic import Truth, all_of, any_of

T, F, U = Truth.TRUE, Truth.FALSE, Truth.UNKNOWN


@pytest.mark.parametrize(
    ("pair", "both", "either"),
    [
        ((T, T), T, T),
        ((T, F), F, T),
        ((T, U), U, T),
        ((F, T), F, T),
        ((F, F), F, F),
        ((F, U), F, U),
        ((U, T), U, T),
        ((U, F), F, U),
        ((U, U), U, U),
    ],
)
def test_every_pair_of_values(pair: tuple[Truth, Truth], both: Truth, either: Truth) -> None:
    assert all_of(pair) is both
    assert any_of(pair) is either


def test_of_nothing_nothing_is_known() -> None:
    assert all_of(()) is U
    assert any_of(()) is U
