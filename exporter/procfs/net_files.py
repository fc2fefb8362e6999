"""The many small files of one network device below `/sys/class/net`, read again and again.

To open one costs ten times as much as to read it. So they stay open while the device is the same one; the kernel makes
their contents anew for every read. Files of written trees are opened every time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

_PAGE = 4096
_SHUT = -1

# what a device does not have, does not tell while it is down, or does not tell us
_UNTOLD = frozenset({errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM})
_GONE = frozenset({errno.ENODEV, errno.ENOTDIR})


class GoneError(Exception):
    """The device is no longer there."""


class DeviceFiles:
    """The files of a device in a given order, those it has; `kept` of them are open."""

    __slots__ = ("_descriptors", "_files", "_path", "kept")

    def __init__(self, folder: Path, name: str, files: Sequence[str]) -> None:
        self._path = f"{folder}/{name}"
        self._files = files
        self._descriptors = [_SHUT] * len(files)
        self.kept = 0

    def read(self, count: int, may_keep: int) -> list[bytes | None]:
        """Return the contents of the first `count` files, None for what is not told, and keep so many more open.

        Raise GoneError if the device has gone, OSError for anything else that is wrong.
        """
        descriptors = self._descriptors[:count]
        try:
            if _SHUT in descriptors:
                return self._opened(count, may_keep)
            return [_contents(descriptor) for descriptor in descriptors]
        except OSError as error:
            # the folder itself is missing only if the device is
            if error.errno in _GONE or error.errno == errno.ENOENT:
                raise GoneError from error
            raise

    def _opened(self, count: int, may_keep: int) -> list[bytes | None]:
        folder = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return [self._one(folder, number, may_keep) for number in range(count)]
        finally:
            os.close(folder)

    def _one(self, folder: int, number: int, may_keep: int) -> bytes | None:
        if self._descriptors[number] != _SHUT:
            return _contents(self._descriptors[number])
        try:
            descriptor = os.open(self._files[number], os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if error.errno not in _UNTOLD:
                raise
            return None
        if number < may_keep and _is_sysfs(descriptor):
            self._descriptors[number] = descriptor
            self.kept += 1
            return _contents(descriptor)
        try:
            return _contents(descriptor)
        finally:
            os.close(descriptor)

    def __del__(self) -> None:
        for descriptor in self._descriptors:
            if descriptor != _SHUT:
                os.close(descriptor)


def _contents(descriptor: int) -> bytes | None:
    try:
        return os.pread(descriptor, _PAGE, 0)
    except OSError as error:
        if error.errno not in _UNTOLD:
            raise
        return None


def _is_sysfs(descriptor: int) -> bool:
    found = os.fstat(descriptor)
    # a page, of which no block is anywhere: no file that can be written to looks like that
    return found.st_size == _PAGE and found.st_blocks == 0
