"""Where the tests find the programs that they run for real."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from selfheal.stack.oracles import find_oracle
from selfheal.stack.tools import Tool, default_folder, find


def tool(name: str) -> Tool:
    """Return `prometheus`, `promtool`, `alertmanager` or `amtool` with the folder to start it in.

    A missing tool skips the test on a developer's machine and fails it in CI.
    """
    found = find(name, default_folder())
    if found is None:
        do_without(f"{name} not found: run make tools")
    return found


def binary(name: str) -> Path:
    """Return the path of a tool, as `tool` does."""
    return tool(name).path


def oracle(program: str, version: str) -> Path:
    """Return the binary of `node_exporter` or `process-exporter` in that version; a missing one as in `tool`."""
    found = find_oracle(program, version, default_folder())
    if found is None:
        do_without(f"{program} {version} not found: run make oracles")
    return found


def do_without(reason: str) -> NoReturn:
    """Skip on a developer's machine, fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
