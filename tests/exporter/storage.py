"""The written tree of disks, arrays and sensors, and collectors built on it or on one that a test writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.collectors import COLLECTORS
from exporter.config import make_parser
from exporter.encode import Family
from exporter.paths import Paths
from exporter.settings import Settings
from selfheal.common.clock import Clock, ManualClock
from tests.exporter.trees import FIXTURES, values

TREE = FIXTURES / "oracle/storage"


def create(name: str, *flags: str, tree: Path = TREE, clock: Clock | None = None) -> Callable[[], list[Family]]:
    """Build one collector on a tree with the folders proc, sys and root."""
    paths = Paths(tree / "proc", tree / "sys", tree / "root")
    settings = Settings(paths, clock or ManualClock(), make_parser().parse_args(flags))
    return COLLECTORS[name].create(settings)


def read(name: str, *flags: str, tree: Path = TREE) -> dict[str, float]:
    """Return what one collector says of a tree: value by series."""
    return numbers(create(name, *flags, tree=tree)())


def numbers(families: list[Family]) -> dict[str, float]:
    """Return value by series."""
    return {series: float(value) for series, value in values(families).items()}


def write(tree: Path, files: Mapping[str, str]) -> Path:
    """Write files below a tree, and return it."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tree


def of(found: Mapping[str, float], start: str) -> dict[str, float]:
    """Return the series that begin so."""
    return {series: value for series, value in found.items() if series.startswith(start)}
