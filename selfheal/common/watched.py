"""A value read from files that may be exchanged at any time: before each use it is read again if they changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from selfheal.common.clock import Clock

T = TypeVar("T")

_Signature = tuple[tuple[int, int, int, int] | None, ...]

# file systems keep times in steps of some milliseconds, network ones in whole seconds: what changed this recently may
# change again without a trace
_SETTLED_AFTER = 2.0


class Watched(Generic[T]):
    """What was last read, and whether its files are still as they were then."""

    def __init__(self, read: Callable[[], T], files: Callable[[T], Sequence[Path]], clock: Clock) -> None:
        """Read it for the first time. Raise what `read` raises."""
        self._read = read
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._value = read()
        # what the files held before that is not known, so the first look reads once more
        self._contents: dict[Path, bytes | None] = {}
        self._signature: _Signature | None = None
        self._error: ValueError | None = None

    @property
    def last_good(self) -> T:
        """Return what was last read without an error."""
        return self._value

    def current(self) -> T:
        """Return the value the files hold now. Raise the ValueError that `read` raises while they hold none."""
        with self._lock:
            # a broken one is read again each time: what mends it may be a file that nobody could name yet
            if self._error is not None or self._look() != self._signature:
                self._renew()
            if self._error is not None:
                raise self._error
            return self._value

    def _look(self) -> _Signature:
        return tuple(_signature(path) for path in self._files(self._value))

    def _renew(self) -> None:
        signature = self._look()
        contents = {path: _content(path) for path in self._files(self._value)}
        if self._error is not None or contents != self._contents:
            try:
                self._value = self._read()
                self._error = None
            except ValueError as error:
                self._error = error
                return
        # of files that were not named before, nobody knows what they held before they were read: the next look differs
        self._contents = {path: contents[path] for path in self._files(self._value) if path in contents}
        newest = max((found[0] / 1e9 for found in signature if found is not None), default=0.0)
        self._signature = signature if self._clock.now() - newest > _SETTLED_AFTER else None


def _signature(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return max(found.st_mtime_ns, found.st_ctime_ns), found.st_mtime_ns, found.st_size, found.st_ino


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
