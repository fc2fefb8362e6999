"""Captured trees, collectors built on them, and pages read back as values."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from exporter.collectors import COLLECTORS
from exporter.config import make_parser
from exporter.encode import Family, encode
from exporter.paths import Paths
from exporter.settings import Settings
from selfheal.common.clock import Clock, ManualClock

FIXTURES = Path(__file__).parent / "fixtures"
PROCFS = FIXTURES / "procfs"
ROOTFS = FIXTURES / "rootfs"
GROUPS = FIXTURES / "processes.yml"


def copied_procfs(tmp_path: Path) -> Path:
    """Copy the captured procfs to where a test may break it."""
    return Path(shutil.copytree(PROCFS, tmp_path / "procfs"))


def create(
    name: str, *flags: str, procfs: Path = PROCFS, rootfs: Path = ROOTFS, clock: Clock | None = None
) -> Callable[[], list[Family]]:
    """Build one collector from flags."""
    settings = Settings(Paths(procfs, Path("/sys"), rootfs), clock or ManualClock(), make_parser().parse_args(flags))
    return COLLECTORS[name].create(settings)


def values(page: bytes | Iterable[Family]) -> dict[str, str]:
    """Read a page, or families, as value by series."""
    text = (page if isinstance(page, bytes) else encode(page)).decode()
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {series: value for series, _, value in pairs}


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        os.sched_yield()
