"""The only one who has journalctl remove something: archived files of the journal's folders, the oldest first.

What may go is chosen here by the policy's floor and age, because journalctl itself knows only one of the two at a time.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cmp_to_key
from pathlib import Path
from struct import unpack_from

from remediator.errors import ActionFailed, Refused
from remediator.policy import Door, Policy
from remediator.policy.journal import folder_of, is_machine, rule_of
from remediator.policy.owned import untrusted
from remediator.shell import keep_output
from selfheal.common.clock import SystemClock

BLOCK = 512
"""Bytes of the unit in which stat(2) counts what a file takes on the disk; journalctl counts so too."""
MOST_FOLDERS = 64
# NAME@SEQUENCE-ID of the first entry-its time.journal; what was not closed well ends with ~ and has its time alone
_ARCHIVED = re.compile(r".+@([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{16})\.journal")
_BROKEN = re.compile(r".+@([0-9a-f]{16})-[0-9a-f]{16}\.journal~")
_ENTRIES = 152  # in a file's header: how many there are
_NEVER = (1 << 64) - 1
_HERE, _NO_FOLLOW, _CREATION = -100, 0x100, 0x800  # AT_FDCWD, AT_SYMLINK_NOFOLLOW, STATX_BTIME of statx(2)

Monotonic = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Archived:
    """One file of a journal's folder that is written no more."""

    name: str
    size: int
    """Bytes on the disk."""
    modified: float
    """When it was last written, in seconds since the epoch."""
    inode: int
    oldest: int
    """Microseconds since the epoch: what journalctl takes for its first entry's time."""
    sequence: tuple[str, int] | None
    is_empty: bool
    """Without entries: journalctl removes such files first, whatever it is asked for."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of the journal: its archived files as journalctl would remove them, and all that it holds."""

    path: str
    inode: int
    archived: tuple[Archived, ...]
    total: int
    """Bytes of archived and active files."""
    has_folders: bool
    """Below it are folders or links: those that are named after a machine journalctl would vacuum by the same size."""


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What came of one journalctl, which may have removed something though it failed."""

    gone: tuple[Archived, ...] | None
    """All archived files that went; None if the folder can no longer be looked at."""
    why: str = ""
    """What failed; empty if nothing did."""


def folders(policy: Policy) -> tuple[Folder, ...]:
    """Return the journal's folders of the policy that can be vacuumed alone.

    Raise Refused if it lists none, OSError if one cannot be read.
    """
    top = Path(rule_of(policy).directory)
    if not top.is_dir() or top.is_symlink():
        return ()
    below = sorted(path for path in top.iterdir() if is_machine(path.name) and path.is_dir() and not path.is_symlink())
    found = (look(str(path), policy) for path in (top, *below[:MOST_FOLDERS]))
    return tuple(folder for folder in found if folder.archived and not folder.has_folders)


def look(path: str, policy: Policy) -> Folder:
    """Given a folder of the journal, return what it holds now. Raise Refused if the policy does not list it."""
    folder_of(policy, path)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    archived, total, has_folders = [], 0, False
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                # journald renames and removes files of its own meanwhile
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    has_folders |= stat.S_ISDIR(found.st_mode) or stat.S_ISLNK(found.st_mode)
                    if stat.S_ISREG(found.st_mode) and entry.name.endswith((".journal", ".journal~")):
                        archived.extend(_archived(path, entry.name, found))
                        total += found.st_blocks * BLOCK
        inode = os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)
    return Folder(path, inode, tuple(sorted(archived, key=cmp_to_key(_order))), total, has_folders)


def is_old(file: Archived, seconds: float) -> bool:
    """Say whether a file was last written longer ago than that, by the machine's clock, which also stamped it."""
    return SystemClock().now() - file.modified >= seconds


def disk_usage(path: str, policy: Policy, deadline: float, monotonic: Monotonic) -> str:
    """Return what `journalctl --disk-usage` says of a folder. Raise as `vacuum` does."""
    return _journalctl(path, "--disk-usage", policy, deadline, monotonic).strip()


def vacuum(
    folder: Folder, going: Sequence[Archived], policy: Policy, deadline: float, monotonic: Monotonic
) -> Vacuumed:
    """Given a folder as it is now and its oldest archived files, have journalctl remove these; return what came of it.

    Raise Refused, with nothing done, if that would go below the policy's floor or take what is too young.
    """
    rule = folder_of(policy, folder.path)
    if folder.has_folders:
        raise policy.refused(Door.SHELL, f"of {folder.path} journalctl would vacuum the folders below it too")
    young = [file.name for file in going if not is_old(file, rule.keep)]
    if young:
        raise policy.refused(Door.SHELL, f"{young[0]} was written within the last {rule.keep:g} s, and stays")
    left = folder.total - sum(file.size for file in going)
    if tuple(going) != folder.archived[: len(going)] or not going:
        raise policy.refused(Door.SHELL, f"not the oldest files of {folder.path} are to be removed")
    if any(file.is_empty for file in folder.archived[len(going) :]):
        raise policy.refused(Door.SHELL, f"of {folder.path} all files without entries would go, and not all may")
    if left < rule.floor:
        raise policy.refused(Door.SHELL, f"of {folder.path} {left} bytes would be left, and the floor is {rule.floor}")
    # what the active file grows by meanwhile, less than the last file to go, takes no further file along
    size = left + max(0, going[-1].size - BLOCK)
    why = ""
    try:
        _journalctl(folder.path, f"--vacuum-size={size}", policy, deadline, monotonic)
    except ActionFailed as error:
        # it removes one file after the other, so some may be gone
        why = str(error)
    # what is gone is looked at and not read from what it prints, which other versions word otherwise
    try:
        there = {(file.name, file.inode) for file in look(folder.path, policy).archived}
    except (OSError, Refused) as error:
        return Vacuumed(None, f"{why}{'; ' if why else ''}what is left cannot be seen: {error}")
    return Vacuumed(tuple(file for file in folder.archived if (file.name, file.inode) not in there), why)


def _journalctl(path: str, option: str, policy: Policy, deadline: float, monotonic: Monotonic) -> str:
    folder_of(policy, path)
    program = policy.programs.journalctl
    refusal = untrusted(program) if Path(program).exists() else None
    if refusal is not None:
        raise policy.refused(Door.SHELL, refusal)
    argv = (program, f"--directory={path}", "--no-pager", option)
    code, output, error = keep_output(argv, {"SYSTEMD_COLORS": "0"}, b"", deadline, monotonic)
    if code != 0:
        raise ActionFailed(f"journalctl {option} of {path} failed: {error[-300:]}")
    return output.decode("utf-8", "replace") + error


def _archived(folder: str, name: str, found: os.stat_result) -> list[Archived]:
    """Return the file if it is an archived one: only such are ever removed."""
    closed, broken = _ARCHIVED.fullmatch(name), _BROKEN.fullmatch(name)
    if closed is None and broken is None:
        return []
    path = f"{folder}/{name}"
    told = int(closed[3] if closed else broken[1], 16)  # type: ignore[index]  # one of the two is there
    # journalctl believes a file's own times where they are older than its name
    stamps = (stamp // 1000 for stamp in (found.st_mtime_ns, found.st_ctime_ns, found.st_atime_ns))
    oldest = min(told, *stamps, *_created(path))
    sequence = (closed[1], int(closed[2], 16)) if closed else None
    size = found.st_blocks * BLOCK
    return [Archived(name, size, found.st_mtime, found.st_ino, oldest, sequence, _is_empty(path))]


def _created(path: str) -> list[int]:
    """Return when a file was created, by its file system and by what journald noted: microseconds, where it is told."""
    # here and not above: few hosts ever need it
    import ctypes

    found = []
    told = ctypes.create_string_buffer(256)
    statx = getattr(ctypes.CDLL(None), "statx", None)
    # its fields stand in <linux/stat.h>: the mask first, and the time of creation from the 80th byte on
    if statx is not None and statx(_HERE, os.fsencode(path), _NO_FOLLOW, _CREATION, told) == 0:
        seconds, nanoseconds = unpack_from("=qI", told, 80)
        if unpack_from("=I", told)[0] & _CREATION:
            found.append(seconds * 1_000_000 + nanoseconds // 1000)
    with suppress(OSError):
        noted = int.from_bytes(os.getxattr(path, "user.crtime_usec", follow_symlinks=False), "little")
        if 0 < noted < _NEVER:
            found.append(noted)
    return found


def _is_empty(path: str) -> bool:
    """Say whether a file holds no entry, by the number in its header (systemd's JOURNAL_FILE_FORMAT)."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # to read it must not change its times
        descriptor = os.open(path, flags | os.O_NOATIME)
    except PermissionError:
        descriptor = os.open(path, flags)
    try:
        return not any(os.pread(descriptor, 8, _ENTRIES))
    finally:
        os.close(descriptor)


def _order(one: Archived, other: Archived) -> int:
    """Compare as journalctl removes: what is empty first, then by number within one sequence, else by time."""
    if one.is_empty != other.is_empty:
        return -1 if one.is_empty else 1
    if one.sequence and other.sequence and one.sequence[0] == other.sequence[0]:
        return one.sequence[1] - other.sequence[1]
    if one.oldest != other.oldest:
        return one.oldest - other.oldest
    return (one.name > other.name) - (one.name < other.name)
