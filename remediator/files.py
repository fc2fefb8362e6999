"""The only remover of files: every folder on the way is opened without following links, on the root's device only.

A file is named by its root, its path below it and its inode; what was replaced or written since is left alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from remediator.errors import Refused
from remediator.policy import Policy, Root, overlap
from selfheal.common.clock import SystemClock

DEEPEST = 64
"""Folders below a root that are entered."""
MOST_ENTRIES = 500_000
"""Entries of one root that are looked at."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class File:
    """One regular file as it was seen; `path` is relative to its root."""

    path: str
    size: int
    modified_ns: int
    inode: int


@dataclass(slots=True)
class Listing:
    """The regular files below a root, and why others were left out."""

    files: list[File] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    """Why → how many entries."""

    def leave_out(self, why: str) -> None:
        """Count one entry that is not listed."""
        self.left_out[why] = self.left_out.get(why, 0) + 1


@dataclass(frozen=True, slots=True)
class OpenRoot:
    """A permitted root, open; `remove` unlinks below it."""

    root: Root
    descriptor: int
    device: int
    inode: int
    forbidden: frozenset[tuple[int, int]]
    """Device and inode of everything protected, for folders that are mounted twice."""

    def list(self) -> Listing:
        """Return the regular files below the root. Raise OSError if a folder cannot be read."""
        listing = Listing()
        _list_folder(self, os.dup(self.descriptor), "", listing, [0])
        return listing

    def age(self, file: File) -> float:
        """Return how many seconds ago a file was written, by the machine's clock, which also stamped it."""
        return SystemClock().now() - file.modified_ns / 1e9

    def remove(self, file: File, older_than: float) -> str | None:
        """Unlink a listed file, unless it is gone. Return why it was left alone, or None.

        Raise FileNotFoundError if it is gone, Refused if its path leaves the root, OSError if it cannot be unlinked.
        """
        *folders, name = _parts(file.path)
        with _descend(self.descriptor, folders, self.forbidden, self.device) as parent:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or found.st_dev != self.device or found.st_ino != file.inode:
                return "is another file now"
            if found.st_mtime_ns != file.modified_ns or found.st_size != file.size:
                return "was written since"
            if self.age(file) < older_than:
                return "is too young"
            if (found.st_dev, found.st_ino) in self.forbidden:
                return "is protected"
            os.unlink(name, dir_fd=parent)
        return None


@contextmanager
def open_root(path: str, policy: Policy) -> Iterator[OpenRoot]:
    """Given the path of a permitted root, open it component by component and give it for as long as the block lasts.

    Raise Refused if the policy does not list it, a link stands on its way, or it lies in, above or at something
    protected; FileNotFoundError if it is not there; OSError if it cannot be opened.
    """
    root = policy.root(path)
    forbidden = _identities_of(policy.protected)
    top = os.open("/", _FOLDER)
    try:
        with _descend(top, Path(path).parts[1:], forbidden) as descriptor:
            met = overlap(Path(path), policy.protected)
            if met is not None:
                raise Refused(f"root {path} overlaps {met}, which is protected; choose a folder apart from it")
            found = os.fstat(descriptor)
            yield OpenRoot(root, descriptor, found.st_dev, found.st_ino, forbidden)
    finally:
        os.close(top)


@contextmanager
def _descend(
    start: int, names: Sequence[str], forbidden: frozenset[tuple[int, int]], device: int | None = None
) -> Iterator[int]:
    """Open one folder below another, never a protected one and, where a device is given, only on that."""
    descriptor = os.dup(start)
    try:
        for name in names:
            following = _open_folder(descriptor, name)
            os.close(descriptor)
            descriptor = following
            found = os.fstat(descriptor)
            if device is not None and found.st_dev != device:
                raise Refused(f"folder {name!r} lies on another device than its root")
            if (found.st_dev, found.st_ino) in forbidden:
                raise Refused(f"folder {name!r} is protected")
        yield descriptor
    finally:
        os.close(descriptor)


def _open_folder(parent: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(f"{name!r} on the way is a link or no folder; links are never followed") from error
        raise


def _list_folder(root: OpenRoot, descriptor: int, below: str, listing: Listing, seen: list[int]) -> None:
    """List one folder and those below it; `descriptor` is closed."""
    try:
        found = os.fstat(descriptor)
        if found.st_dev != root.device:
            return listing.leave_out("on another device")
        if (found.st_dev, found.st_ino) in root.forbidden:
            return listing.leave_out("protected")
        with os.scandir(descriptor) as entries:
            for entry in entries:
                seen[0] += 1
                if seen[0] > MOST_ENTRIES:
                    return listing.leave_out(f"after the first {MOST_ENTRIES} entries")
                _list_entry(root, descriptor, below, entry, (listing, seen))
    finally:
        os.close(descriptor)
    return None


def _list_entry(
    root: OpenRoot, parent: int, below: str, entry: os.DirEntry[str], to: tuple[Listing, list[int]]
) -> None:
    listing, seen = to
    try:
        path = f"{below}{entry.name}"
        path.encode("utf-8")
        if entry.is_dir(follow_symlinks=False):
            if path.count("/") >= DEEPEST:
                return listing.leave_out(f"deeper than {DEEPEST} folders")
            return _list_folder(root, _open_folder(parent, entry.name), f"{path}/", listing, seen)
        found = entry.stat(follow_symlinks=False)
    except UnicodeEncodeError:
        # a name that is no text could not be stored in a plan and found again
        return listing.leave_out("name is not UTF-8")
    except PermissionError:
        return listing.leave_out("cannot be read")
    except (FileNotFoundError, Refused):
        return listing.leave_out("changed while listed")
    if not stat.S_ISREG(found.st_mode):
        return listing.leave_out("not a regular file")
    if found.st_dev != root.device:
        return listing.leave_out("on another device")
    listing.files.append(File(path, found.st_size, found.st_mtime_ns, found.st_ino))
    return None


def _parts(path: str) -> list[str]:
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise Refused(f"{path!r} is not a plain path below its root")
    return parts


def _identities_of(paths: Sequence[Path]) -> frozenset[tuple[int, int]]:
    found = set()
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            # what is not there yet is kept apart by its name
            continue
        found.add((status.st_dev, status.st_ino))
    return frozenset(found)
