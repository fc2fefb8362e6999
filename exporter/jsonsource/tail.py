"""Whole lines of a growing file, each once; rotation and truncation neither repeat nor lose what is still there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exporter.jsonsource.opened import Opened

# how long a program may write on to a file that was renamed: it opens the new one when it is told to, or looks itself
_GRACE_SECONDS = 60.0


class Tail:
    """Where reading has come to in one file, and in the one that had its name before; kept in memory only."""

    def __init__(self, path: Path, *, from_beginning: bool) -> None:
        self._path = path
        self._from_beginning = from_beginning
        self._file: Opened | None = None
        self._former: Opened | None = None
        """The file before this one, for a while; of each one before it nothing is read any more."""
        self._succeeded_at = 0.0
        self._truncations = 0
        self._too_long = 0
        self.rotations = 0

    @property
    def truncations(self) -> int:
        """How often a file was emptied."""
        return self._truncations + sum(file.truncations for file in self._files())

    @property
    def too_long(self) -> int:
        """How many lines were too long to be read."""
        return self._too_long + sum(file.too_long for file in self._files())

    def read(self, now: float) -> Iterator[list[bytes]]:
        """Given the monotonic time, yield the lines written since the last time, in parts.

        Whoever stops early gets the rest next time. Raise OSError if the file is not there and never was, or cannot be
        read; ValueError if it is no regular file.
        """
        file = self._file or self._open()
        while True:
            yield from self._read_former(file, now)
            yield from file.drain()
            if not self._has_successor(file):
                return
            # what was written between the last look and the rename
            yield from file.drain()
            yield from self._end_former()
            successor = Opened(self._path, from_beginning=True)
            self._former, self._file, self._succeeded_at = file, successor, now
            self.rotations += 1
            file = successor

    def behind(self) -> int:
        """Return how many bytes have been written and not been read."""
        return sum(file.behind() for file in self._files())

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files():
            self._let_go(file)
        self._file = self._former = None

    def _files(self) -> list[Opened]:
        return [file for file in (self._former, self._file) if file is not None]

    def _open(self) -> Opened:
        try:
            self._file = Opened(self._path, from_beginning=self._from_beginning)
        except FileNotFoundError:
            # only a file that is there already may hold what is not wanted
            self._from_beginning = True
            raise
        self._from_beginning = True
        return self._file

    def _has_successor(self, file: Opened) -> bool:
        """Say whether another file has our name now; while none has, ours may still be written to."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) != file.identity

    def _read_former(self, file: Opened, now: float) -> Iterator[list[bytes]]:
        """Yield what is still written to the former file, before what comes after it; let go of it in the end."""
        former = self._former
        if former is None:
            return
        yield from former.drain()
        if now - self._succeeded_at >= _GRACE_SECONDS:
            yield from self._end_former()
        elif file.size():
            # whoever writes to the new file has ended its last line in this one
            yield from former.last_line()

    def _end_former(self) -> Iterator[list[bytes]]:
        former = self._former
        if former is not None:
            yield from former.last_line()
            self._former = None
            self._let_go(former)

    def _let_go(self, file: Opened) -> None:
        self._truncations += file.truncations
        self._too_long += file.too_long
        file.close()
