"""Size and room of every mounted file system, as the collector filesystem has it; a mount that hangs is named."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import psutil

from exporter.collectors.filesystem import FS_TYPES_EXCLUDED, MOUNT_POINTS_EXCLUDED
from exporter.deadline import BoundedCaller, LateError
from exporter.encode import Family, Metric
from exporter.filters import read_filter
from exporter.portable.system import SYSTEM, System
from exporter.settings import Settings
from exporter.statfs import TIMED_OUT, Asker

_LABELS = ("device", "device_error", "fstype", "mountpoint")


def _gauge(what: str, text: str) -> Metric:
    return Metric(f"node_filesystem_{what}", "gauge", text, _LABELS)


_AVAIL = _gauge("avail_bytes", "Bytes that users other than root can still write.")
_ERROR = _gauge("device_error", "Whether the file system did not say its sizes; the label says why.")
_FILES = _gauge("files", "Inodes that the file system has.")
_FILES_FREE = _gauge("files_free", "Inodes that are not used.")
_FREE = _gauge("free_bytes", "Bytes that are not used, those kept for root included.")
_READONLY = _gauge("readonly", "Whether the mount, or the file system itself, is read-only.")
_SIZE = _gauge("size_bytes", "Bytes that the file system has.")

# on Windows without network drives, on which Windows itself may wait; elsewhere psutil's choice would leave out tmpfs
_ALL = SYSTEM is not System.WINDOWS


class Sizes(NamedTuple):
    """What a file system says of itself, in bytes and inodes."""

    size: int
    free: int
    available: int
    files: int | None = None
    files_free: int | None = None


Room = Sizes | str
"""The sizes, or what is wrong."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that lists the mounts and asks each. Raise ValueError if filters contradict."""
    flags = vars(settings.flags)
    points = read_filter(flags, "--collector.filesystem.mount-points", MOUNT_POINTS_EXCLUDED)
    types = read_filter(flags, "--collector.filesystem.fs-types", FS_TYPES_EXCLUDED)
    seconds: float = flags["collector.filesystem.mount_timeout"]
    patience: int = flags["collector.filesystem.stat_workers"]
    drives, asker = _Drives(seconds, patience), Asker(seconds, patience, settings.clock)

    def collect() -> list[Family]:
        # the same thing mounted on itself is one series
        mounts: dict[tuple[str, ...], bool] = {
            (mount.device, "", mount.fstype, mount.mountpoint): "ro" in mount.opts.split(",")
            for mount in psutil.disk_partitions(all=_ALL)
            if points.wants(mount.mountpoint) and types.wants(mount.fstype)
        }
        paths = list(dict.fromkeys(labels[3] for labels in mounts))
        if SYSTEM is System.WINDOWS:
            return families(mounts, drives.ask(paths))
        return families(mounts, {path: _sizes(room) for path, room in asker.ask(paths).items()})

    return collect


def families(mounts: Mapping[tuple[str, ...], bool], rooms: Mapping[str, Room]) -> list[Family]:
    """Given whether each mount is read-only, by its labels, and what each path says, return the families."""
    errors: dict[tuple[str, ...], float] = {}
    readonly: dict[tuple[str, ...], float] = {}
    good: dict[tuple[str, ...], Sizes] = {}
    for (device, _, fstype, mountpoint), is_readonly in mounts.items():
        room = rooms[mountpoint]
        labels = (device, room if isinstance(room, str) else "", fstype, mountpoint)
        errors[labels] = int(isinstance(room, str))
        readonly[labels] = int(is_readonly)
        if not isinstance(room, str):
            good[labels] = room
    return [
        _AVAIL.of({labels: room.available for labels, room in good.items()}),
        _ERROR.of(errors),
        _FILES.of({labels: room.files for labels, room in good.items() if room.files is not None}),
        _FILES_FREE.of({labels: room.files_free for labels, room in good.items() if room.files_free is not None}),
        _FREE.of({labels: room.free for labels, room in good.items()}),
        _READONLY.of(readonly),
        _SIZE.of({labels: room.size for labels, room in good.items()}),
    ]


def _sizes(found: os.statvfs_result | str) -> Room:
    if isinstance(found, str):
        return found
    size, free, available = (blocks * found.f_frsize for blocks in (found.f_blocks, found.f_bfree, found.f_bavail))
    return Sizes(size, free, available, found.f_files, found.f_ffree)


class _Drives:
    """Windows, not run there: each drive is asked on a kept thread of its own; one that is late is not asked again."""

    def __init__(self, seconds: float, patience: int) -> None:
        self._seconds = seconds
        self._patience = patience
        self._callers: defaultdict[str, BoundedCaller[Any]] = defaultdict(lambda: BoundedCaller("filesystem"))

    def ask(self, paths: Iterable[str]) -> dict[str, Room]:
        """Given drives, return for each its sizes, or what is wrong with it; wait only for so many late ones."""
        found: dict[str, Room] = {}
        left = self._patience
        for path in paths:
            caller = self._callers[path]
            if caller.is_stuck() or not left:
                found[path] = TIMED_OUT
                continue
            found[path] = self._one(caller, path)
            left -= found[path] == TIMED_OUT
        return found

    def _one(self, caller: BoundedCaller[Any], path: str) -> Room:
        try:
            usage = caller.call(partial(psutil.disk_usage, path), self._seconds)
        except LateError:
            return TIMED_OUT
        except OSError as error:
            return (error.strerror or str(error)).lower()
        return Sizes(usage.total, usage.free, usage.free)
