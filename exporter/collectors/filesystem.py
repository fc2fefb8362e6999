"""Size and room of every mounted file system, by node_exporter's names; a mount that hangs is named and left out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from exporter.encode import Family, Metric, as_text
from exporter.filters import Filter, add_filter_flags, read_filter
from exporter.procfs.mounts import Mount, MountTable, parse_mounts
from exporter.settings import Settings, flag_type
from exporter.statfs import Asker, Room
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

_LABELS = ("device", "device_error", "fstype", "mountpoint")


# the kernel does not tell when a file system changes its options in another namespace
_TABLE_LASTS = 60.0


def _gauge(what: str, text: str) -> Metric:
    return Metric(f"node_filesystem_{what}", "gauge", text, _LABELS)


_AVAIL = _gauge("avail_bytes", "Bytes that users other than root can still write.")
_ERROR = _gauge("device_error", "Whether the file system did not say its sizes; the label says why.")
_FILES = _gauge("files", "Inodes that the file system has.")
_FILES_FREE = _gauge("files_free", "Inodes that are not used.")
_FREE = _gauge("free_bytes", "Bytes that are not used, those kept for root included.")
_MOUNT_INFO = Metric(
    "node_filesystem_mount_info",
    "gauge",
    "Always 1; the numbers of the block device that is mounted.",
    ("device", "major", "minor", "mountpoint"),
)
_READONLY = _gauge("readonly", "Whether the mount, or the file system itself, is read-only.")
_SIZE = _gauge("size_bytes", "Bytes that the file system has.")


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the filters, spelled as in node_exporter, and the time that one mount may take."""
    for what, things, excluded in (
        ("mount-points", "mount points", MOUNT_POINTS_EXCLUDED),
        ("fs-types", "file system types", FS_TYPES_EXCLUDED),
    ):
        flag = "--collector.filesystem."
        add_filter_flags(parser, f"{flag}{what}", things, excluded, f"{flag}ignored-{what}")
    add_flag(
        parser, "--collector.filesystem.mount-timeout", metavar="DURATION", default="500ms",
        type=flag_type(parse_duration),
        help="how long one mount may take to answer (default: %(default)s)",
    )  # fmt: skip
    add_flag(
        parser, "--collector.filesystem.stat-workers", metavar="N", default="4", type=flag_type(_at_least_one),
        help="how many mounts may hang until the others are left for the next scrape (default: %(default)s)",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the mount table and asks each mount. Raise ValueError if filters contradict."""
    flags = vars(settings.flags)
    points = read_filter(flags, "--collector.filesystem.mount-points", MOUNT_POINTS_EXCLUDED)
    types = read_filter(flags, "--collector.filesystem.fs-types", FS_TYPES_EXCLUDED)
    workers: int = flags["collector.filesystem.stat_workers"]
    asker = Asker(flags["collector.filesystem.mount_timeout"], workers, settings.clock)
    table = _Table(settings, points, types)

    def collect() -> list[Family]:
        mounts = table.read()
        rooms = asker.ask(table.paths)
        if table.is_outdated(rooms):
            mounts = [mounted for mounted in table.read(anyway=True) if mounted.path in rooms]
        return _families(mounts, rooms)

    return collect


class _Mounted:
    """A mount with the labels of its series, rendered once."""

    __slots__ = ("info", "is_readonly", "path", "plain")

    def __init__(self, mount: Mount, mountpoint: str, path: str) -> None:
        self.path = path
        self.is_readonly = int(mount.is_readonly)
        device = as_text(mount.device)
        self.plain = (device, "", mount.fstype, mountpoint)
        self.info = (device, str(mount.major), str(mount.minor), mountpoint)


class _Table:
    """The wanted mounts."""

    def __init__(self, settings: Settings, points: Filter, types: Filter) -> None:
        self._clock = settings.clock
        self._init, self._own = (MountTable(settings.paths.procfs / who / "mountinfo") for who in ("1", "self"))
        self._read_at = -_TABLE_LASTS
        self._points = points
        self._types = types
        self._root = settings.paths.rootfs
        self._readonly: frozenset[str] | None = None
        self._data: bytes | None = None
        self._mounts: list[_Mounted] = []
        self.paths: Sequence[str] = ()
        """Where the wanted mounts are, seen from here."""

    def is_outdated(self, rooms: Mapping[str, Room]) -> bool:
        """Given what the file systems say, say whether the table must be read again, for some have turned read-only.

        After an error they do so without a word to who watches the table. Their own word does not do: all may be
        mounted read-only for us alone.
        """
        before = self._readonly
        self._readonly = frozenset(
            path for path, room in rooms.items() if not isinstance(room, str) and room.f_flag & os.ST_RDONLY
        )
        return before is not None and before != self._readonly

    def read(self, *, anyway: bool = False) -> list[_Mounted]:
        """Return the wanted mounts. Raise OSError or ValueError if the table cannot be read.

        It is read if it has changed, if it was long ago, or `anyway`.
        """
        now = self._clock.monotonic()
        is_old = anyway or now - self._read_at >= _TABLE_LASTS
        try:
            data = self._init.read_changed(anyway=is_old)
        except OSError:
            # without rights on pid 1 our own view is the best there is, as in node_exporter
            data = self._own.read_changed(anyway=is_old)
        if is_old:
            self._read_at = now
        if data is not None and data != self._data:
            self._mounts = self._wanted(parse_mounts(data))
            self.paths = list(dict.fromkeys(mounted.path for mounted in self._mounts))
            self._data = data
        return self._mounts

    def _wanted(self, mounts: list[Mount]) -> list[_Mounted]:
        wanted: dict[tuple[str, ...], _Mounted] = {}
        for mount in mounts:
            point = _as_on_the_host(mount.mountpoint, self._root)
            named = as_text(point)
            if self._points.wants(named) and self._types.wants(mount.fstype):
                path = os.path.join(self._root, point.lstrip("/"))  # noqa: PTH118 - text, asked in every scrape
                mounted = _Mounted(mount, named, path)
                # the same thing mounted on itself is one series
                wanted.setdefault(mounted.plain, mounted)
        return list(wanted.values())


def _as_on_the_host(mountpoint: str, root: Path) -> str:
    """Given a mount point as seen from here, return it without the folder where the host's root is mounted."""
    prefix = str(root)
    if prefix == "/" or not (mountpoint == prefix or mountpoint.startswith(f"{prefix}/")):
        return mountpoint
    return mountpoint.removeprefix(prefix) or "/"


def _families(mounts: list[_Mounted], rooms: Mapping[str, Room]) -> list[Family]:
    good: list[tuple[_Mounted, os.statvfs_result]] = []
    errors: list[tuple[tuple[str, ...], float]] = []
    readonly: list[tuple[tuple[str, ...], float]] = []
    for mounted in mounts:
        room, labels = rooms[mounted.path], mounted.plain
        if isinstance(room, str):
            labels = (labels[0], room, *labels[2:])
            errors.append((labels, 1))
        else:
            errors.append((labels, 0))
            good.append((mounted, room))
        readonly.append((labels, mounted.is_readonly))
    return [
        Family(_AVAIL, [(mounted.plain, room.f_bavail * room.f_frsize) for mounted, room in good]),
        Family(_ERROR, errors),
        Family(_FILES, [(mounted.plain, room.f_files) for mounted, room in good]),
        Family(_FILES_FREE, [(mounted.plain, room.f_ffree) for mounted, room in good]),
        Family(_FREE, [(mounted.plain, room.f_bfree * room.f_frsize) for mounted, room in good]),
        # two mounts may differ in their type alone
        _MOUNT_INFO.of({mounted.info: 1 for mounted, _ in good}),
        Family(_READONLY, readonly),
        Family(_SIZE, [(mounted.plain, room.f_blocks * room.f_frsize) for mounted, room in good]),
    ]


def _at_least_one(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("at least 1 is needed")
    return count
