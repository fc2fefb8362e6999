"""What an editor shows beside a key says the whole of it."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from remediator.check.described import PLAYBOOK
from remediator.guards import GUARDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "playbooks.md"
ENDED_BY_HOLD_AT_MOST = {"still_firing": "silenced", "monitoring": "monitoring", "blast_radius": "blast radius"}
"""By guard whose holds end with `hold_at_most`: the word by which the key tells of it."""


def test_every_guard_whose_hold_ends_is_known_here() -> None:
    found = {guard.name for guard in GUARDS if "hold_at_most" in inspect.getsource(inspect.getmodule(guard.check))}  # type: ignore[arg-type]

    assert found == set(ENDED_BY_HOLD_AT_MOST)


@pytest.mark.parametrize("word", ENDED_BY_HOLD_AT_MOST.values())
def test_hold_at_most_tells_of_each_hold_that_it_ends(word: str) -> None:
    (row,) = (line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `limits.hold_at_most` |"))

    assert word in PLAYBOOK["limits.hold_at_most"]
    assert word in row
