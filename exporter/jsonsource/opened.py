"""One open file that grows line by line, and where reading has come to in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

LONGEST_LINE = 1 << 20

_CHUNK = 1 << 18
_FINGERPRINT = 64


class Opened:
    """A file under whichever name it has by now."""

    def __init__(self, path: Path, *, from_beginning: bool) -> None:
        """Raise OSError if the file cannot be opened, ValueError if it is no regular file."""
        # without waiting: a pipe of this name would never open
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise ValueError(f"{path} is no regular file")
        self.identity = (found.st_dev, found.st_ino)
        self.truncations = 0
        self.too_long = 0
        self._offset = 0
        self._begun = b""
        """The beginning of a line whose end has not been written yet."""
        self._skips = False
        """We are inside a line that is not wanted: its beginning was not seen, or it is too long."""
        self._last = b""
        """The last bytes read, by which a file is known again."""
        if not from_beginning and found.st_size > 0:
            self._offset = found.st_size
            known = min(_FINGERPRINT, found.st_size)
            self._last = os.pread(self._descriptor, known, found.st_size - known)
            self._skips = not self._last.endswith(b"\n")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def size(self) -> int:
        """Return how many bytes there are."""
        return os.fstat(self._descriptor).st_size

    def behind(self) -> int:
        """Return how many bytes have been written and not been read."""
        return max(0, self.size() - self._offset)

    def drain(self) -> Iterator[list[bytes]]:
        """Yield the whole lines written since the last time, in parts."""
        if self._was_cut():
            self.truncations += 1
            self._offset, self._begun, self._skips, self._last = 0, b"", False, b""
        while chunk := os.pread(self._descriptor, _CHUNK, self._offset):
            self._offset += len(chunk)
            self._last = (self._last + chunk)[-_FINGERPRINT:]
            lines = self._split(chunk)
            if lines:
                yield lines

    def last_line(self) -> Iterator[list[bytes]]:
        """Yield what a finished file ends with, if that lacks its line break; what may follow it is no line."""
        line, self._begun = self._begun, b""
        if line:
            self._skips = True
            yield [line]

    def _was_cut(self) -> bool:
        """Say whether the file was emptied; it may have grown past our place again, with other bytes before it."""
        if self.size() < self._offset:
            return True
        before = os.pread(self._descriptor, len(self._last), self._offset - len(self._last))
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
