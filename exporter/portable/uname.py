"""What the system calls itself and the host; dashboards find their hosts by it."""

from __future__ import annotations

import platform
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.portable.system import SYSTEM, System
from exporter.settings import Settings

_LABELS = ("domainname", "machine", "nodename", "release", "sysname", "version")
_INFO = Metric("node_uname_info", "gauge", "What uname tells of the kernel and the host; always 1.", _LABELS)

_NO_DOMAIN = "(none)"


def create(_settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks the system."""

    def collect() -> list[Family]:
        found = platform.uname()
        node, domain = found.node, _NO_DOMAIN
        if SYSTEM is System.MACOS:
            # not run here; as node_exporter does on macOS
            node, _, rest = found.node.partition(".")
            domain = rest or _NO_DOMAIN
        return [_INFO.of({(domain, found.machine, node, found.release, found.system, found.version): 1})]

    return collect
