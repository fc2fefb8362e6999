"""Size and room of every mounted file system, by node_exporter's names; a mount that hangs is named and left out."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exporter.deadline import BoundedCaller, LateError
from exporter.encode import Family, Metric
from exporter.procfs.mounts import Mount, parse_mounts, read_mounts
from exporter.settings import Settings, flag_type
from selfheal.common.durations import parse_duration
from selfheal.common.flags import add_flag

name = "filesystem"
text = "size and room of mounted file systems"
enabled = True

MOUNT_POINTS_EXCLUDED = r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"
FS_TYPES_EXCLUDED = (
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay"
    "|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$"
)

_LABELS = ("device", "fstype", "mountpoint")
_ERROR_LABELS = ("device", "device_error", "fstype", "mountpoint")
_AVAIL = Metric(
    "node_filesystem_avail_bytes", "gauge", "Filesystem space available to non-root users in bytes.", _LABELS
)
_ERROR = Metric(
    "node_filesystem_device_error",
    "gauge",
    "Whether an error occurred while getting statistics for the given device.",
    _ERROR_LABELS,
)
_FILES = Metric("node_filesystem_files", "gauge", "Filesystem total file nodes.", _LABELS)
_FILES_FREE = Metric("node_filesystem_files_free", "gauge", "Filesystem total free file nodes.", _LABELS)
_FREE = Metric("node_filesystem_free_bytes", "gauge", "Filesystem free space in bytes.", _LABELS)
_READONLY = Metric("node_filesystem_readonly", "gauge", "Filesystem read-only status.", _ERROR_LABELS)
_SIZE = Metric("node_filesystem_size_bytes", "gauge", "Filesystem size in bytes.", _LABELS)

_TIMED_OUT = "mountpoint timeout"


@dataclass(frozen=True, slots=True)
class _Filter:
    """What of one property of a mount is wanted: all that matches `include`, or all but what matches `exclude`."""

    include: re.Pattern[str] | None
    exclude: re.Pattern[str] | None

    def wants(self, value: str) -> bool:
        """Say whether a mount with this value is exported."""
        if self.include is not None:
            return self.include.search(value) is not None
        return self.exclude is None or self.exclude.search(value) is None


class _Room:
    """Asks mounts for their sizes, each in bounded time; one that hangs is not asked again until it has answered."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stuck: dict[str, BoundedCaller[os.statvfs_result | OSError]] = {}
        self._caller: BoundedCaller[os.statvfs_result | OSError] = BoundedCaller("filesystem")

    def ask(self, path: Path, mountpoint: str) -> os.statvfs_result | str:
        """Given a mount, return its sizes, or what is wrong with it."""
        stuck = self._stuck.get(mountpoint)
        if stuck is not None and stuck.is_stuck():
            return _TIMED_OUT
        self._stuck.pop(mountpoint, None)
        try:
            found = self._caller.call(lambda: _statvfs(path), self._seconds)
        except LateError:
            # the thread waits with the mount; the others get a new one
            self._stuck[mountpoint] = self._caller
            self._caller = BoundedCaller("filesystem")
            return _TIMED_OUT
        return found if isinstance(found, os.statvfs_result) else (found.strerror or str(found)).lower()


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the filters, spelled as in node_exporter, and the time that one mount may take."""
    for what, word, excluded in (
        ("mount-points", "mount points", MOUNT_POINTS_EXCLUDED),
        ("fs-types", "file system types", FS_TYPES_EXCLUDED),
    ):
        add_flag(
            parser, f"--collector.filesystem.{what}-exclude", metavar="REGEX", type=flag_type(re.compile),
            help=f"{word} to leave out (default: {excluded.replace('%', '%%')})",
        )  # fmt: skip
        add_flag(
            parser, f"--collector.filesystem.{what}-include", metavar="REGEX", type=flag_type(re.compile),
            help=f"{word} to export, instead of an exclude",
        )  # fmt: skip
    add_flag(
        parser, "--collector.filesystem.mount-timeout", metavar="DURATION", default="500ms",
        type=flag_type(parse_duration),
        help="how long one mount may take to answer (default: %(default)s)",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the mount table and asks each mount. Raise ValueError if filters contradict."""
    flags = vars(settings.flags)
    points = _filter(flags, "mount-points", MOUNT_POINTS_EXCLUDED)
    types = _filter(flags, "fs-types", FS_TYPES_EXCLUDED)
    room = _Room(flags["collector.filesystem.mount_timeout"])
    table: bytes | None = None
    mounts: list[Mount] = []

    def collect() -> list[Family]:
        nonlocal table, mounts
        data = read_mounts(settings.paths.procfs)
        if data != table:
            mounts = [m for m in parse_mounts(data) if points.wants(m.mountpoint) and types.wants(m.fstype)]
            table = data
        return _families([(m, room.ask(settings.paths.below_root(m.mountpoint), m.mountpoint)) for m in mounts])

    return collect


def _filter(flags: dict[str, re.Pattern[str] | None], what: str, excluded: str) -> _Filter:
    flag = f"collector.filesystem.{what.replace('-', '_')}"
    include, exclude = flags[f"{flag}_include"], flags[f"{flag}_exclude"]
    if include and exclude:
        raise ValueError(f"--collector.filesystem.{what}-include and -exclude contradict each other; give only one")
    return _Filter(include, exclude or (None if include else re.compile(excluded)))


def _statvfs(path: Path) -> os.statvfs_result | OSError:
    try:
        return os.statvfs(path)
    except OSError as error:
        return error


def _families(asked: list[tuple[Mount, os.statvfs_result | str]]) -> list[Family]:
    rooms, errors, readonly = {}, {}, {}
    for mount, room in asked:
        error = room if isinstance(room, str) else ""
        labels = (mount.device, error, mount.fstype, mount.mountpoint)
        errors[labels] = 1 if error else 0
        readonly[labels] = int(mount.is_readonly)
        if not isinstance(room, str):
            rooms[mount.device, mount.fstype, mount.mountpoint] = room
    return [
        _AVAIL.of({labels: room.f_bavail * room.f_frsize for labels, room in rooms.items()}),
        _ERROR.of(errors),
        _FILES.of({labels: room.f_files for labels, room in rooms.items()}),
        _FILES_FREE.of({labels: room.f_ffree for labels, room in rooms.items()}),
        _FREE.of({labels: room.f_bfree * room.f_frsize for labels, room in rooms.items()}),
        _READONLY.of(readonly),
        _SIZE.of({labels: room.f_blocks * room.f_frsize for labels, room in rooms.items()}),
    ]
