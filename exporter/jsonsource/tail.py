"""Whole lines of a growing file, each once; rotation and truncation neither repeat nor lose what is still there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

LONGEST_LINE = 1 << 20

_CHUNK = 1 << 18
_FINGERPRINT = 64


class Tail:
    """Where reading has come to in one file; kept in memory only."""

    def __init__(self, path: Path, *, from_beginning: bool) -> None:
        self._path = path
        self._from_beginning = from_beginning
        self._descriptor: int | None = None
        self._identity = (0, 0)
        self._offset = 0
        self._begun = b""
        """The beginning of a line whose end has not been written yet."""
        self._skips = False
        """We are inside a line that is not wanted: its beginning was not seen, or it is too long."""
        self._last = b""
        """The last bytes read, by which a file is known again."""
        self.rotations = 0
        self.truncations = 0
        self.too_long = 0

    def read(self) -> Iterator[list[bytes]]:
        """Yield the lines written since the last time, in parts; whoever stops early gets the rest next time.

        Raise OSError if the file is not there and never was, or cannot be read; ValueError if it is no regular file.
        """
        if self._descriptor is None:
            try:
                self._open(from_beginning=self._from_beginning)
            except FileNotFoundError:
                # only a file that is there already may hold what is not wanted
                self._from_beginning = True
                raise
            self._from_beginning = True
        while True:
            yield from self._drain()
            if not self._has_successor():
                return
            # what was written between the last look and the rename
            yield from self._drain()
            yield from self._last_line()
            self.close()
            self.rotations += 1
            self._open(from_beginning=True)

    def behind(self) -> int:
        """Return how many bytes have been written and not been read."""
        if self._descriptor is None:
            return 0
        return max(0, os.fstat(self._descriptor).st_size - self._offset)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, *, from_beginning: bool) -> None:
        # without waiting: a pipe of this name would never open
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise ValueError(f"{self._path} is no regular file")
        self._descriptor = descriptor
        self._identity = (found.st_dev, found.st_ino)
        self._start_at(0)
        if not from_beginning and found.st_size > 0:
            self._offset = found.st_size
            known = min(_FINGERPRINT, found.st_size)
            self._last = os.pread(descriptor, known, found.st_size - known)
            self._skips = not self._last.endswith(b"\n")

    def _start_at(self, offset: int) -> None:
        self._offset, self._begun, self._skips, self._last = offset, b"", False, b""

    def _has_successor(self) -> bool:
        """Say whether another file has our name now; while none has, ours may still be written to."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) != self._identity

    def _drain(self) -> Iterator[list[bytes]]:
        descriptor = self._descriptor
        if descriptor is None:
            return
        if self._was_cut(descriptor):
            self.truncations += 1
            self._start_at(0)
        while chunk := os.pread(descriptor, _CHUNK, self._offset):
            self._offset += len(chunk)
            self._last = (self._last + chunk)[-_FINGERPRINT:]
            lines = self._split(chunk)
            if lines:
                yield lines

    def _was_cut(self, descriptor: int) -> bool:
        """Say whether the file was emptied; it may have grown past our place again, with other bytes before it."""
        if os.fstat(descriptor).st_size < self._offset:
            return True
        before = os.pread(descriptor, len(self._last), self._offset - len(self._last))
        return before != self._last

    def _split(self, chunk: bytes) -> list[bytes]:
        *lines, begun = (self._begun + chunk).split(b"\n")
        if self._skips and lines:
            del lines[0]
            self._skips = False
        self._begun = b"" if self._skips else begun
        if len(self._begun) > LONGEST_LINE:
            self.too_long += 1
            self._begun, self._skips = b"", True
        return lines

    def _last_line(self) -> Iterator[list[bytes]]:
        """Yield what a finished file ends with, if that lacks its line break."""
        line, self._begun = self._begun, b""
        if line:
            yield [line]
