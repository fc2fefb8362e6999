"""Bytes and files below configured folders: exact or absent, never a part, within a deadline."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.deadline import BoundedCaller, LateError
from exporter.encode import Family, Metric
from exporter.settings import IncompleteError, Settings, flag_type
from selfheal.common.clock import Clock
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag

name = "directory"
text = "bytes and files below configured folders"
enabled = True

_BYTES = Metric(
    "selfheal_directory_bytes",
    "gauge",
    "Lengths of all regular files below the folder, on its own file system; absent if not counted to the end.",
    ("directory",),
)
_FILES = Metric(
    "selfheal_directory_files",
    "gauge",
    "Regular files below the folder, on its own file system; absent if not counted to the end.",
    ("directory",),
)

# how many entries are counted between two looks at the clock
_STRIDE = 256


class Content(NamedTuple):
    """What one folder holds."""

    bytes: int
    files: int


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the folders to count and the time that counting all of them may take."""
    add_flag(
        parser, "--collector.directory.root", metavar="PATH", action="append", type=flag_type(_absolute),
        help="absolute path of a folder to count; repeatable",
    )  # fmt: skip
    add_flag(
        parser, "--collector.directory.deadline", metavar="DURATION", type=flag_type(parse_duration), default="2s",
        help="how long counting all folders together may take (default: %(default)s)",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that counts every configured folder. Raise ValueError if a root is no absolute path."""
    flags = vars(settings.flags)
    # a variable's list does not pass through the flag's type
    roots = tuple(dict.fromkeys(_absolute(root) for root in flags["collector.directory.root"] or ()))
    seconds: float = flags["collector.directory.deadline"]
    callers: dict[str, BoundedCaller[Content]] = {root: BoundedCaller("directory") for root in roots}

    def collect() -> list[Family]:
        end = settings.clock.monotonic() + seconds
        found: dict[tuple[str], Content] = {}
        problems = []
        for left, root in zip(range(len(roots), 0, -1), roots, strict=True):
            # what a small folder leaves of its share is the others'
            share = max(0.0, end - settings.clock.monotonic()) / left
            count = _Count(settings.paths.below_root(root), settings.clock, share)
            try:
                # the walk watches its own time; the caller gives up a little later, when a file system hangs
                found[(root,)] = callers[root].call(count.run, share * 1.25 + 0.05)
            except (LateError, OSError) as error:
                problems.append(f"{root}: {error}")
        families = [
            _BYTES.of({labels: content.bytes for labels, content in found.items()}),
            _FILES.of({labels: content.files for labels, content in found.items()}),
        ]
        if problems:
            raise IncompleteError("; ".join(problems), families)
        return families

    return collect


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is not an absolute path; write it from / on")
    return os.path.normpath(text)


class _Count:
    """One walk through one folder; follows no link and stays on the folder's file system."""

    def __init__(self, root: Path, clock: Clock, seconds: float) -> None:
        self._root = root
        self._clock = clock
        self._end = clock.monotonic() + seconds
        self._seconds = seconds
        self._bytes = 0
        self._files = 0
        self._seen = 0
        self._linked: set[int] = set()

    def run(self) -> Content:
        """Return what the folder holds. Raise LateError when time is over, OSError if a part cannot be read."""
        device = self._root.stat().st_dev
        folders = [str(self._root)]
        while folders:
            folders += self._enter(folders.pop(), device, is_root=len(folders) == 0 and self._seen == 0)
        return Content(self._bytes, self._files)

    def _enter(self, folder: str, device: int, *, is_root: bool) -> Sequence[str]:
        # the root is the operator's word and may be a link; a link put below it is not followed, however fast it comes
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if is_root else os.O_NOFOLLOW)
        try:
            descriptor = os.open(folder, flags)
        except (FileNotFoundError, NotADirectoryError):
            if is_root:
                raise
            return ()
        try:
            if os.fstat(descriptor).st_dev != device:
                return ()
            with os.scandir(descriptor) as entries:
                return [f"{folder}/{entry.name}" for entry in entries if self._take(entry)]
        finally:
            os.close(descriptor)

    def _take(self, entry: os.DirEntry[str]) -> bool:
        """Count one entry, or say that it is a folder to enter."""
        self._seen += 1
        if self._seen % _STRIDE == 1 and self._clock.monotonic() > self._end:
            raise LateError(f"not counted to the end in {self._seconds:.3g} s")
        if entry.is_dir(follow_symlinks=False):
            return True
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            # removed while we counted
            return False
        if stat.S_ISREG(found.st_mode) and not self._is_known_link(found):
            self._bytes += found.st_size
            self._files += 1
        return False

    def _is_known_link(self, found: os.stat_result) -> bool:
        if found.st_nlink == 1:
            return False
        known = found.st_ino in self._linked
        self._linked.add(found.st_ino)
        return known
