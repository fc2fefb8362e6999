"""The only remover of files: every folder on the way is opened without following links, on the root's own mount only.

A file is named by its root, its path below it and its inode; what was replaced or written since is left alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from remediator.errors import Refused
from remediator.policy import Door, Policy, Root, overlap
from remediator.policy.protected import monitoring_folders
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
    held: int = 0
    """Bytes of it that are there, as far as it was listed: holes are not counted."""


@dataclass(slots=True)
class Listing:
    """The regular files below a root, and why others were left out."""

    files: list[File] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    """Why → how many entries."""

    def leave_out(self, why: str) -> None:
        """Count one entry that is not listed."""
        self.left_out[why] = self.left_out.get(why, 0) + 1


@dataclass(slots=True)
class Stock:
    """How many bytes of files are there below a root with a floor: counted before the first removal, then less each."""

    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class OpenRoot:
    """A permitted root, open; `remove` unlinks below it."""

    root: Root
    descriptor: int
    device: int
    inode: int
    mount: int
    """The kernel's number of the mount: another one may show the same device a second time."""
    forbidden: frozenset[tuple[int, int]]
    """Device and inode of everything protected, for folders that are mounted twice."""
    policy: Policy
    stock: Stock = field(default_factory=Stock)

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
        *folders, name = self._parts(file.path)
        with self._enter(folders) as parent:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or found.st_dev != self.device or found.st_ino != file.inode:
                return "is another file now"
            if found.st_mtime_ns != file.modified_ns or found.st_size != file.size:
                return "was written since"
            if self.age(file) < older_than:
                return "is too young"
            if (found.st_dev, found.st_ino) in self.forbidden:
                return "is protected"
            if self.root.floor and self._stock() - _held(found) < self.root.floor:
                return f"the floor of {self.root.floor} bytes would not be left"
            os.unlink(name, dir_fd=parent)
        if self.stock.bytes is not None:
            self.stock.bytes -= _held(found)
        return None

    def _stock(self) -> int:
        if self.stock.bytes is None:
            self.stock.bytes = held_by(self.list().files)
        return self.stock.bytes

    def _parts(self, path: str) -> Sequence[str]:
        parts = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise self.policy.refused(Door.FILES, f"{path!r} is not a plain path below its root")
        return parts

    @contextmanager
    def _enter(self, folders: Sequence[str]) -> Iterator[int]:
        """Open a folder below the root, on its mount."""
        with ExitStack() as stack:
            try:
                parent = stack.enter_context(_descend(self.descriptor, folders, self.forbidden, self.mount))
            except Refused as error:
                raise self.policy.refused(Door.FILES, error.detail) from error
            yield parent


def bytes_of(files: Iterable[File]) -> int:
    """Return how many bytes files hold; one with several names is as long as it is only once."""
    return sum({file.inode: file.size for file in files}.values())


def held_by(files: Iterable[File]) -> int:
    """Return how many bytes of listed files are there, holes left out; of one with several names only once."""
    return sum({file.inode: file.held for file in files}.values())


@contextmanager
def open_root(path: str, policy: Policy) -> Iterator[OpenRoot]:
    """Given the path of a permitted root, open it component by component and give it for as long as the block lasts.

    Raise Refused if the policy does not list it, a link stands on its way, it is the top of a file system, or it lies
    in, above or at something protected; FileNotFoundError if it is not there; OSError if it cannot be opened.
    """
    root = policy.root(path)
    # those of the monitoring are asked anew: they move with its next start
    protected = (*policy.protected, *monitoring_folders(policy.procfs))
    # a root below this one has a rule of its own, perhaps a stricter one
    forbidden = _identities_of((*protected, *_roots_below(root, policy)))
    with ExitStack() as stack:
        try:
            opened = _open_root(stack, root, policy, protected, forbidden)
        except Refused as error:
            raise policy.refused(Door.FILES, error.detail) from error
        yield opened


def _roots_below(root: Root, policy: Policy) -> list[Path]:
    others = (Path(other.path) for other in policy.roots)
    return [path for path in others if Path(root.path) in path.parents]


def _open_root(
    stack: ExitStack, root: Root, policy: Policy, protected: Sequence[Path], forbidden: frozenset[tuple[int, int]]
) -> OpenRoot:
    parts = Path(root.path).parts[1:]
    if not parts:
        raise Refused("root / is the top of a file system; choose a folder below it")
    *folders, name = parts
    top = os.open("/", _FOLDER)
    stack.callback(os.close, top)
    parent = stack.enter_context(_descend(top, folders, forbidden))
    descriptor = stack.enter_context(_descend(parent, [name], forbidden))
    mount = _mount_of(descriptor)
    if mount != _mount_of(parent):
        raise Refused(f"root {root.path} is the top of a file system; choose a folder below it")
    try:
        met = overlap(Path(root.path), protected)
    except OSError as error:
        # a path that is swapped while it is followed can be a link at one look and none at the next
        raise Refused(f"root {root.path} cannot be followed ({error.strerror}), so nothing is removed") from error
    if met is not None:
        raise Refused(f"root {root.path} overlaps {met}, which is protected; choose a folder apart from it")
    found = os.fstat(descriptor)
    return OpenRoot(root, descriptor, found.st_dev, found.st_ino, mount, forbidden, policy)


@contextmanager
def _descend(
    start: int, names: Sequence[str], forbidden: frozenset[tuple[int, int]], mount: int | None = None
) -> Iterator[int]:
    """Open one folder below another, never a protected one and, where a mount is given, only on that."""
    descriptor = os.dup(start)
    try:
        for name in names:
            following = _open_folder(descriptor, name)
            os.close(descriptor)
            descriptor = following
            found = os.fstat(descriptor)
            if mount is not None and _mount_of(descriptor) != mount:
                raise Refused(f"folder {name!r} lies on another mount than its root")
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
        if found.st_dev != root.device or _mount_of(descriptor) != root.mount:
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
    listing.files.append(File(path, found.st_size, found.st_mtime_ns, found.st_ino, _held(found)))
    return None


def _held(found: os.stat_result) -> int:
    # st_blocks counts in units of 512 bytes whatever the file system's own are
    return min(found.st_size, found.st_blocks * 512)


def _mount_of(descriptor: int) -> int:
    """Return the kernel's number of the mount that an open folder lies on. Raise Refused if that is not told."""
    try:
        text = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("mnt_id:"))
    except (OSError, StopIteration) as error:
        raise Refused("this kernel does not tell on which mount a folder lies") from error


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
