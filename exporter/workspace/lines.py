"""How many lines the tracked files of a work tree have; unchanged files are not read again."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path

from exporter.workspace.model import Lines, LongFiles
from exporter.workspace.repository import opened
from selfheal.common.clock import Clock

_CHUNK = 1 << 18
# as git does, a file with a NUL near its beginning is taken for binary
_BINARY_BYTES = 8000
_STRIDE = 64

_Stamp = tuple[int, int, int]


class LineCounter:
    """Counts one work tree again and again."""

    def __init__(self, path: Path, wanted: LongFiles, seconds: float, clock: Clock) -> None:
        self._path = path
        self._wanted = wanted
        self._seconds = seconds
        self._clock = clock
        self._known: dict[str, tuple[_Stamp, int]] = {}

    def count(self) -> Lines:
        """Return how long the files are. Raise ValueError if it takes too long, OSError if one cannot be read.

        What was counted until then need not be counted again.
        """
        end = self._clock.monotonic() + self._seconds
        with opened(self._path) as repository:
            paths = [entry.path for entry in repository.index if is_wanted(entry.path, self._wanted)]
        known, counts = self._known, []
        self._known = {path: known[path] for path in paths if path in known}
        for number, path in enumerate(paths):
            if number % _STRIDE == 0 and self._clock.monotonic() > end:
                raise ValueError(f"not counted to the end in {self._seconds:g} s")
            lines = self._count(path)
            if lines is not None:
                counts.append(lines)
        return Lines(len(counts), sum(lines > self._wanted.lines for lines in counts), max(counts, default=0))

    def _count(self, path: str) -> int | None:
        """Return the lines of one file, None if there is none or it is binary."""
        full = self._path / path
        try:
            found = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            self._known.pop(path, None)
            return None
        # a link, or another repository
        if not stat.S_ISREG(found.st_mode):
            return None
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = (stamp, _lines_of(full))
        return known[1] if known[1] >= 0 else None


def is_wanted(path: str, wanted: LongFiles) -> bool:
    """Given a path from the root of the tree on, say whether it is measured. A `*` matches slashes too."""
    return any(fnmatchcase(path, pattern) for pattern in wanted.include) and not any(
        fnmatchcase(path, pattern) for pattern in wanted.exclude
    )


def _lines_of(path: Path) -> int:
    """Return the number of lines, the last counts also without its end; -1 if the file is binary."""
    # a link put in its place meanwhile is not followed
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        lines, last = 0, b"\n"
        chunk = file.read(_CHUNK)
        if b"\0" in chunk[:_BINARY_BYTES]:
            return -1
        while chunk:
            lines += chunk.count(b"\n")
            last = chunk[-1:]
            chunk = file.read(_CHUNK)
        return lines + (last != b"\n")
