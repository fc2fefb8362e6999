"""Open files of the whole host, and how many there may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.host import parse_file_numbers
from exporter.procfs.kept import KeptFile
from exporter.settings import Settings

name = "filefd"
text = "open files of the host"
enabled = True

_ALLOCATED = Metric("node_filefd_allocated", "gauge", "Files that are open on the host.")
_MAXIMUM = Metric("node_filefd_maximum", "gauge", "Most files that may be open on the host.")


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads `/proc/sys/fs/file-nr`."""
    file = KeptFile(settings.paths.procfs / "sys/fs/file-nr")

    def collect() -> list[Family]:
        allocated, maximum = parse_file_numbers(file.read())
        return [_ALLOCATED.only(allocated), _MAXIMUM.only(maximum)]

    return collect
