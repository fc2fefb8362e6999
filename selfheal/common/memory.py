"""Keeps the C allocator from holding on to memory that was used for a moment only."""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8
"""`M_ARENA_MAX` in glibc's malloc.h."""


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


def give_back() -> bool:
    """Return what the C allocator keeps unused to the system; say whether the C library can. Takes a millisecond."""
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
    except (OSError, AttributeError):
        return False
    return True
