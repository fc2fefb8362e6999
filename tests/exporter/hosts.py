"""The written trees of a host, and collectors built on them or on a copy that a test may break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from exporter.collectors import COLLECTORS
from exporter.config import make_parser
from exporter.encode import Family
from exporter.paths import Paths
from exporter.settings import Settings
from selfheal.common.clock import Clock, ManualClock
from tests.exporter.trees import FIXTURES, values

HOST = FIXTURES / "oracle/host"
OLD = FIXTURES / "oracle/host_old"


def build(name: str, *flags: str, tree: Path = HOST, clock: Clock | None = None) -> Callable[[], list[Family]]:
    """Build one collector on a tree with the folders proc, sys and root."""
    paths = Paths(tree / "proc", tree / "sys", tree / "root")
    return COLLECTORS[name].create(Settings(paths, clock or ManualClock(), make_parser().parse_args(flags)))


def read(name: str, *flags: str, tree: Path = HOST) -> dict[str, float]:
    """Return what one collector says of a tree: value by series."""
    return numbers(build(name, *flags, tree=tree)())


def numbers(families: list[Family]) -> dict[str, float]:
    """Return value by series."""
    return {series: float(value) for series, value in values(families).items()}


def copied(tmp_path: Path, tree: Path = HOST) -> Path:
    """Copy a tree to where a test may break it."""
    return Path(shutil.copytree(tree, tmp_path / "tree"))
