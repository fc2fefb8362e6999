"""`--once`: prints one page and ends, so that a collector can be tried without a server."""

from __future__ import annotations

import os
import sys

from exporter.registry import Registry


def run_once(registry: Registry) -> int:
    """Given the collectors, print their page; return 1 if one of them failed."""
    page = registry.page()
    registry.close()
    try:
        sys.stdout.buffer.write(page)
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read it has seen enough; Python must not complain about it again when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if any(registry.failures().values()) else 0
