"""It takes two looks in a row, on newer samples each, to call something worse."""

from __future__ import annotations

from typing import Any

import pytest

from remediator.before_after import worse_looks
from remediator.evidence import Health

WAS = {"x": {"worse": 1, "at": 0.0, "level": 9.0, "slope": 0.0, "noise": 1.0}}


def health(value: float, sample: float | None) -> Health:
    return Health(False, True, False, sample, "still_true", {}, {"x": value})


def looks(*seen: tuple[float, float | None], again: bool = True) -> list[int]:
    """Return the count after each look of (value, time of the newest sample)."""
    proof: dict[str, Any] = {"before": WAS}
    return [worse_looks(proof, health(*look), 100.0 + n, again=again) for n, look in enumerate(seen)]


@pytest.mark.parametrize(
    ("seen", "counts"),
    [
        ([(10.1, 1), (10.1, 2)], [1, 2]),
        ([(10.1, 1), (10.1, 1), (10.1, 1)], [1, 1, 1]),
        ([(10.1, 1), (10.0, 2), (10.1, 3)], [1, 0, 1]),
        ([(9.0, 1), (10.0, 2)], [0, 0]),
        ([(12.0, 1), (11.0, 2), (12.0, 3)], [1, 2, 3]),
    ],
    ids=["two newer samples", "the same sample", "noise between", "never beyond noise", "going on"],
)
def test_only_looks_in_a_row_on_newer_samples_count(seen: list[tuple[float, float]], counts: list[int]) -> None:
    assert looks(*seen) == counts


def test_what_nobody_saw_meanwhile_does_not_count() -> None:
    assert looks((10.1, 1), (10.1, 2), again=False) == [1, 1]


def test_without_a_past_nothing_is_worse() -> None:
    assert worse_looks({}, health(1e9, 1), 100.0, again=True) == 0
    assert worse_looks({"before": {}}, health(1e9, 1), 100.0, again=True) == 0
