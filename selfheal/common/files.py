"""Files that are either whole or absent, and the check that a private file is private."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write `data` beside `path`, sync it, and rename it into place, so that no reader meets half a file.

    Raise OSError if the folder is missing or full; the old file is then untouched.
    """
    # two threads may write the same file
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}.new")
    beside.unlink(missing_ok=True)
    # what others may have put there is neither followed nor written into
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or unlink inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def privacy_problem(path: Path) -> str | None:
    """Given a file that must be private, return what is wrong with its owner or mode, with the remedy, or None.

    Private means: owned by root or by this user, not readable or writable by group or others.
    """
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        return f"{path} is owned by uid {found.st_uid}; it must belong to root or to uid {os.geteuid()}"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"{path} can be read or written by others (mode {stat.S_IMODE(found.st_mode):04o}); run chmod 600 {path}"
    return None
