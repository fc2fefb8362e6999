"""Fixtures that every room of tests may use."""

from __future__ import annotations

import os
import shutil

import pytest

from selfheal.common.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when told."""
    return ManualClock()


def needs_tool(*names: str) -> None:
    """Skip when a tool is missing on a developer's machine; in CI a missing tool is a failure."""
    missing = [name for name in names if shutil.which(name) is None]
    if not missing:
        return
    reason = f"{', '.join(missing)} not found: run make tools"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
