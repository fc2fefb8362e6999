"""A file of 4 MiB that is given up once on a full disk, so that the repair of the disk itself can be recorded."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "ballast"
SIZE = 4 * 1024 * 1024
ROOM = 3 * SIZE
"""Bytes that must be free before the ballast is made again."""


def give_up(folder: Path) -> bool:
    """Delete the ballast; say whether there was one."""
    try:
        (folder / NAME).unlink()
    except FileNotFoundError:
        return False
    return True


def restore(folder: Path) -> bool:
    """Make the ballast if it is missing and there is room for it; say whether it is there now."""
    path = folder / NAME
    if path.exists():
        return True
    space = os.statvfs(folder)
    if space.f_bavail * space.f_frsize < ROOM:
        return False
    beside = folder / f".{NAME}.new"
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, SIZE)
        finally:
            os.close(descriptor)
        beside.rename(path)
    except OSError:
        # no room after all, or a file size limit: the next try is a minute away
        beside.unlink(missing_ok=True)
        return False
    return True
