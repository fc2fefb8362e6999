"""Reads one entry of a work tree without following a link, and says what it is. What was read is what is committed."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_GIT = re.compile(r"(?i)(?:\.git|git~1)[ .]*(?:$|[:\\])")
"""What git never takes: on other systems these names mean its own folder."""
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Content:
    """A regular file or a link, as it was read; `data` of a link is where it points."""

    data: bytes
    is_link: bool
    executable: bool
    modified: int
    """Seconds since the epoch, rounded down."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Something that is never committed, and why."""

    class_: str
    """`gone`, `too_large`, `outside`, `repository`, `not_a_file` or `unreadable`."""
    why: str


def read_content(top: int, path: str, largest: int) -> Content | Unfit:
    """Given an open work tree and a path below it, return what lies there, at most `largest` bytes of it."""
    *folders, name = path.split("/")
    try:
        with _descend(top, folders) as parent:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                return _link(path, os.readlink(os.fsencode(name), dir_fd=parent), int(found.st_mtime))
            if stat.S_ISDIR(found.st_mode):
                return Unfit("repository", "is a folder: another repository, or one that took a file's place")
            if not stat.S_ISREG(found.st_mode):
                return Unfit("not_a_file", "is no regular file")
            return _file(os.open(name, _FILE, dir_fd=parent), largest)
    except FileNotFoundError:
        return Unfit("gone", "is not there")
    except NotADirectoryError:
        return Unfit("gone", "lies below what is no folder")
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Unfit("outside", "lies behind a link")
        return Unfit("unreadable", f"cannot be read ({error.strerror})")


def is_plain(path: str) -> bool:
    """Say whether a path names something below the tree and nothing of git's own, in text that can be stored."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or _OF_GIT.match(part) for part in parts):
        return False
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in path


def _file(descriptor: int, largest: int) -> Content | Unfit:
    with os.fdopen(descriptor, "rb") as file:
        # asked of the open file: what is checked is what is read
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            return Unfit("not_a_file", "is no regular file")
        if found.st_uid != os.geteuid():
            return Unfit("unreadable", f"belongs to uid {found.st_uid}")
        if found.st_size > largest:
            return Unfit("too_large", f"has {found.st_size} bytes; {largest} are permitted")
        data = file.read(largest + 1)
    if len(data) > largest:
        return Unfit("too_large", f"grew beyond {largest} bytes")
    return Content(data, False, bool(found.st_mode & stat.S_IXUSR), int(found.st_mtime))


def _link(path: str, target: bytes, modified: int) -> Content | Unfit:
    """A link may be kept if it stays below the tree, read as text: what it meets on its way is no matter."""
    text = os.fsdecode(target)
    if text.startswith("/"):
        return Unfit("outside", "is a link to an absolute path")
    place: list[str] = list(PurePosixPath(path).parts[:-1])
    for part in text.split("/"):
        if part == "..":
            if not place:
                return Unfit("outside", "is a link that leaves the work tree")
            place.pop()
        elif part not in ("", "."):
            place.append(part)
    if any(part.casefold() == ".git" for part in place):
        return Unfit("outside", "is a link into git's own data")
    return Content(target, True, False, modified)


@contextmanager
def _descend(top: int, folders: list[str]) -> Iterator[int]:
    """Open a folder below the tree, on its device, and never another repository."""
    device = os.fstat(top).st_dev
    descriptor = os.dup(top)
    try:
        for name in folders:
            following = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
            if os.fstat(descriptor).st_dev != device:
                raise OSError(errno.EXDEV, "lies on another device")
        yield descriptor
    finally:
        os.close(descriptor)
