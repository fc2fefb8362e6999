"""A real store for guards whose limit stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.store import Store
from selfheal.common.clock import ManualClock


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    """A store with the shipped limits."""
    made = Store.open(tmp_path / "state", clock)
    yield made
    made.close()
