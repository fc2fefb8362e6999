"""What the kernel calls itself and the host; dashboards find their hosts by it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.settings import Settings

name = "uname"
text = "names of the kernel and of the host"
enabled = True

_LABELS = ("domainname", "machine", "nodename", "release", "sysname", "version")
_INFO = Metric("node_uname_info", "gauge", "What uname tells of the kernel and the host; always 1.", _LABELS)


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(_settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks the kernel."""
    # not above: only Linux has all of these calls
    from exporter.procfs.syscalls import uname

    def collect() -> list[Family]:
        # asked each time: a host can be renamed while it runs
        found = uname()
        return [_INFO.of({tuple(found[label] for label in _LABELS): 1})]

    return collect
