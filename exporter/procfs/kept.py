"""A file of procfs or sysfs that is read at every scrape: opened once, then one `pread` each time."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = 4096


class KeptFile:
    """The whole contents of one file again and again, without opening it again where the kernel allows that.

    Only files of procfs and sysfs are kept: they give their present contents at every read, and are not replaced by
    another file of the same name. Every other file is opened anew, so a written tree may change at will.
    Each kept descriptor pins about 4 KiB in the kernel: keep one per file of the host, never one per process.
    """

    __slots__ = ("_buffer", "_descriptor", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._buffer = 2 * _PAGE

    def read(self) -> bytes:
        """Return the present contents. Raise OSError if the file cannot be opened or read."""
        if self._descriptor is not None:
            try:
                if data := self._contents(self._descriptor):
                    return data
            except OSError:
                # what it was opened on has gone; opening tells whether another has come
                pass
            self.close()
        return self._opened()

    def close(self) -> None:
        """Give the descriptor back; the next read opens the file again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        # absent if __init__ never ran
        if getattr(self, "_descriptor", None) is not None:
            self.close()

    def _opened(self) -> bytes:
        descriptor = os.open(self.path, os.O_RDONLY)
        keep = False
        try:
            data = self._contents(descriptor)
            # what the kernel makes up as it is read is stored nowhere, and does not have the size it claims
            found = os.fstat(descriptor)
            keep = found.st_size != len(data) and not found.st_blocks
        finally:
            if not keep:
                os.close(descriptor)
        if keep:
            self._descriptor = descriptor
        return data

    def _contents(self, descriptor: int) -> bytes:
        data = os.pread(descriptor, self._buffer, 0)
        # procfs hands out some files a page at a time, however large the buffer: only an empty answer is the end
        while data and (more := os.pread(descriptor, self._buffer, len(data))):
            data += more
            if len(data) > self._buffer:
                self._buffer = len(data) + _PAGE
        return data


def read_file(path: str | Path) -> bytes:
    """Return the contents of a file that is read seldom, or may be replaced. Raise OSError if it cannot be read.

    Cheaper than `Path.read_bytes` for the many small files of sysfs: no buffered object in between.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = os.read(descriptor, _PAGE)
        while data and (more := os.read(descriptor, _PAGE)):
            data += more
        return data
    finally:
        os.close(descriptor)
