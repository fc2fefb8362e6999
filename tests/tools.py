"""Where the tests find the programs that they run for real."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selfheal.stack.tools import Tool, default_folder, find


def tool(name: str) -> Tool:
    """Return `prometheus`, `promtool`, `alertmanager` or `amtool` with the folder to start it in.

    A missing tool skips the test on a developer's machine and fails it in CI.
    """
    found = find(name, default_folder())
    if found is not None:
        return found
    reason = f"{name} not found: run make tools"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def binary(name: str) -> Path:
    """Return the path of a tool, as `tool` does."""
    return tool(name).path
