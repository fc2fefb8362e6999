"""The collector that the how-to builds is built and tested as it stands there."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from types import ModuleType

import pytest

from exporter.collectors import COLLECTORS
from tests.docs.pages import blocks, read

COLLECTOR, TESTS = blocks(read("docs", "how-to", "write-a-collector.md"), "python")


def _run(source: str, name: str) -> ModuleType:
    module = sys.modules[name] = ModuleType(name)
    exec(compile(source, name, "exec"), vars(module))
    return module


@pytest.fixture
def tests(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Put the collector into the table, as the how-to says, and return its tests."""
    for name in ("exporter.collectors.swaps", "test_swaps"):
        # both are taken out again afterwards
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(COLLECTORS, "swaps", _run(COLLECTOR, "exporter.collectors.swaps"))
    return _run(TESTS, "test_swaps")


def test_the_tests_of_the_collector_pass(tests: ModuleType, tmp_path: Path) -> None:
    found = [test for name, test in vars(tests).items() if name.startswith("test_")]

    assert len(found) == 3
    for test in found:
        folder = tmp_path / test.__name__
        folder.mkdir()
        test(folder) if inspect.signature(test).parameters else test()
