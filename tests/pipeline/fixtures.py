"""Fixtures of a remediator on a clock that stands still, for the `conftest.py` of every room that has tests of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selfheal.common.clock import ManualClock
from tests.pipeline.sources import Act, Bench, Sources


@pytest.fixture
def sources(clock: ManualClock) -> Iterator[Sources]:
    """A Prometheus and an Alertmanager that say what the test sets."""
    made = Sources(clock)
    yield made
    made.close()


@pytest.fixture
def act() -> Act:
    """An action that is counted."""
    return Act()


@pytest.fixture
def bench(tmp_path: Path, sources: Sources, clock: ManualClock, act: Act) -> Iterator[Bench]:
    """A remediator in this process, on a clock that moves only when told."""
    made = Bench(tmp_path, sources, clock, act)
    yield made
    made.stop()
