"""What a collector is, and the literal table of all of them.

A collector is a module with a `name`, a `text` for its switch, `enabled` (its default), `add_flags(parser)` for its
own flags and `create(settings)`, which returns a function that returns its families. It starts no process, needs no
root, and never blocks longer than its deadline. A new one is its file, its test, and one line in `COLLECTORS`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Protocol

from exporter.collectors import cpu, directory, filesystem, loadavg, meminfo, process
from exporter.encode import Family
from exporter.settings import Settings


class Collector(Protocol):
    """The module that is a collector."""

    name: str
    text: str
    enabled: bool
    """Whether it is on without being asked for; as in node_exporter where it has the same collector."""

    def add_flags(self, parser: argparse._ActionsContainer, /) -> None:
        """Add the flags that only this collector has."""
        ...

    def create(self, settings: Settings, /) -> Callable[[], list[Family]]:
        """Return the function that reads and returns the families; everything wrong with the settings is raised here.

        That function raises OSError or ValueError when it cannot read, and IncompleteError when it read a part.
        """
        ...


COLLECTORS: dict[str, Collector] = {
    "cpu": cpu,
    "directory": directory,
    "filesystem": filesystem,
    "loadavg": loadavg,
    "meminfo": meminfo,
    "process": process,
}
