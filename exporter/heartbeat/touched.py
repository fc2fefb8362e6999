"""Files that programs touch, or write their result into, as signs of life."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from exporter.heartbeat.model import LARGEST_CODE, Beat, parse_result

_MOST_BYTES = 64

# a file written by `echo $? >file` is empty for a moment before it holds the result
SETTLED = 2.0


def read_touched(path: Path, now: float) -> Beat | None:
    """Given a file, return the sign of life it is; None if it is not there, or may be about to be written.

    The time is that of its last change. What it holds is the result: nothing or `ok`, `failed`, or an exit code.
    Raise OSError if it cannot be read, ValueError if it is no regular file or holds no result.
    """
    try:
        # a pipe without a writer would be waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path} is no regular file")
        data = os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)
    if not data and now - SETTLED < found.st_mtime <= now:
        return None
    try:
        return Beat(found.st_mtime, parse_result(data.decode("utf-8", "replace")))
    except ValueError as error:
        # it may be a link to what is nobody's business, so what it holds is not told
        told = f"{path} holds no result; write ok, failed, or an exit code from 0 to {LARGEST_CODE}"
        raise ValueError(told) from error
