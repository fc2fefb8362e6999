"""Keeps the C allocator from holding on to memory that was used for a moment only."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

_ARENA_MAX = -8
"""`M_ARENA_MAX` in glibc's malloc.h."""
_TUNABLES = "GLIBC_TUNABLES"
_NO_CACHE = "glibc.malloc.tcache_count=0"


def few_arenas() -> bool:
    """Let all threads share one arena of the C allocator; say whether the C library knows the setting.

    By default glibc gives up to eight arenas per core to threads, each of which keeps what a burst left in it: with
    128 threads that is tens of megabytes. Under Python's lock the threads would take turns anyway.
    """
    try:
        library = ctypes.CDLL(None)
        return bool(library.mallopt(_ARENA_MAX, 1))
    except (OSError, AttributeError):
        # another C library: it has its own ways, and ours are not needed there
        return False


def without_caches(environment: Mapping[str, str]) -> dict[str, str]:
    """Given an environment, return the one in which a child's threads keep no freed blocks for themselves.

    Nothing gives these back, and glibc reads whether to keep any before a program begins: so whoever starts it says so.
    A remediator's threads hold 3 MB of them after a storm. A setting that is there already stays.
    """
    there = environment.get(_TUNABLES, "")
    if "tcache_count" in there:
        return dict(environment)
    return {**environment, _TUNABLES: f"{there}:{_NO_CACHE}" if there else _NO_CACHE}


def give_back() -> bool:
    """Return what the C allocator keeps unused to the system; say whether the C library can. Takes a millisecond."""
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
    except (OSError, AttributeError):
        return False
    return True
