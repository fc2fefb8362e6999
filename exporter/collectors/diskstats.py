"""What each disk has read, written, discarded and flushed, and what it is: node_exporter's diskstats collector."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from exporter.encode import Family, Kind, Metric
from exporter.filters import add_filter_flags, read_filter
from exporter.procfs.disks import Disk, Properties, parse_disks, read_properties
from exporter.procfs.kept import KeptFile
from exporter.settings import Settings
from selfheal.common.flags import add_flag

name = "diskstats"
text = "reads, writes and kind of each disk"
enabled = True

EXCLUDED = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$"

_DEVICE = ("device",)
_SECTOR_BYTES = 512
# multiplied as node_exporter does, for dividing by 1000 gives another last digit
_MILLISECOND = 0.001


def _metric(what: str, text: str, kind: Kind = "counter", labels: tuple[str, ...] = _DEVICE) -> Metric:
    return Metric(f"node_disk_{what}", kind, text, labels)


# in the order of the kernel's columns, each with its unit
_COLUMNS: tuple[tuple[Metric, float], ...] = (
    (_metric("reads_completed_total", "Reads that ended well."), 1),
    (_metric("reads_merged_total", "Reads joined with a neighbouring one before they were issued."), 1),
    (_metric("read_bytes_total", "Bytes read."), _SECTOR_BYTES),
    (_metric("read_time_seconds_total", "Seconds spent by all reads together."), _MILLISECOND),
    (_metric("writes_completed_total", "Writes that ended well."), 1),
    (_metric("writes_merged_total", "Writes joined with a neighbouring one before they were issued."), 1),
    (_metric("written_bytes_total", "Bytes written."), _SECTOR_BYTES),
    (_metric("write_time_seconds_total", "Seconds spent by all writes together."), _MILLISECOND),
    (_metric("io_now", "Operations that have begun and not ended.", "gauge"), 1),
    (_metric("io_time_seconds_total", "Seconds in which at least one operation was going on."), _MILLISECOND),
    (_metric("io_time_weighted_seconds_total", "Seconds spent, times the operations going on."), _MILLISECOND),
    (_metric("discards_completed_total", "Discards that ended well."), 1),
    (_metric("discards_merged_total", "Discards joined with a neighbouring one before they were issued."), 1),
    (_metric("discarded_sectors_total", "Sectors of 512 bytes discarded."), 1),
    (_metric("discard_time_seconds_total", "Seconds spent by all discards together."), _MILLISECOND),
    (_metric("flush_requests_total", "Flushes that ended well."), 1),
    (_metric("flush_requests_time_seconds_total", "Seconds spent by all flushes together."), _MILLISECOND),
)
_INFO = _metric(
    "info", "Always 1; what udev and the kernel say about the disk.", "gauge",
    ("device", "major", "minor", "model", "path", "revision", "rotational", "serial", "wwn"),
)  # fmt: skip
_FILESYSTEM = _metric(
    "filesystem_info", "Always 1; the file system that udev found on the disk.", "gauge",
    ("device", "type", "usage", "uuid", "version"),
)  # fmt: skip
_MAPPER = _metric(
    "device_mapper_info", "Always 1; what the device mapper made this disk from.", "gauge",
    ("device", "lv_layer", "lv_name", "name", "uuid", "vg_name"),
)  # fmt: skip
_ATA = {
    "ID_ATA_ROTATION_RATE_RPM": _metric("ata_rotation_rate_rpm", "Rotations per minute; 0 if it has none.", "gauge"),
    "ID_ATA_WRITE_CACHE": _metric("ata_write_cache", "Whether the disk has a write cache.", "gauge"),
    "ID_ATA_WRITE_CACHE_ENABLED": _metric("ata_write_cache_enabled", "Whether its write cache is in use.", "gauge"),
}

# sysfs tells of no change; whoever changes the kind of a disk by hand waits so long until it is seen
_PROPERTIES_LAST = 60.0


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the filters, spelled as in node_exporter, and where udev keeps its data."""
    flag = "--collector.diskstats."
    add_filter_flags(parser, f"{flag}device", "disks", EXCLUDED, f"{flag}ignored-devices")
    add_flag(
        parser, "--path.udev.data", metavar="PATH", type=Path,
        help="where the host's udev keeps its database (default: run/udev/data below --path.rootfs)",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads diskstats. Raise ValueError if the filters contradict."""
    flags = vars(settings.flags)
    disks = read_filter(flags, "--collector.diskstats.device", EXCLUDED)
    file = KeptFile(settings.paths.procfs / "diskstats")
    about = _About(flags["path.udev.data"] or settings.paths.below_root("/run/udev/data"), settings)
    # names are few and come back in every scrape
    wants = lru_cache(maxsize=4096)(disks.wants)

    def collect() -> list[Family]:
        found = parse_disks(file.read(), wants)
        return [*_counters(found), *about.families(found)]

    return collect


def _counters(disks: list[Disk]) -> list[Family]:
    labelled = [((disk.name,), disk.counters) for disk in disks]
    families = []
    for column, (metric, unit) in enumerate(_COLUMNS):
        samples = [(labels, counters[column] * unit) for labels, counters in labelled if column < len(counters)]
        families.append(Family(metric, samples))
    return families


class _About:
    """What is known about the disks; read again for a disk that is new or that udev has looked at again."""

    def __init__(self, udev: Path, settings: Settings) -> None:
        self._udev = str(udev)
        self._block = settings.paths.sysfs / "block"
        self._clock = settings.clock
        self._read_at = -_PROPERTIES_LAST
        self._stamps: dict[tuple[str, str, str], tuple[int, int] | None] = {}
        self._known: dict[tuple[str, str, str], Properties] = {}
        self._families: list[Family] = []

    def families(self, disks: list[Disk]) -> list[Family]:
        """Given the disks of this scrape, return the families about them."""
        stamps = {disk[:3]: self._stamp(disk) for disk in disks}
        now = self._clock.monotonic()
        is_old = now - self._read_at >= _PROPERTIES_LAST
        if is_old or stamps != self._stamps:
            self._known = {
                key: self._known[key]
                if not is_old and key in self._known and self._stamps.get(key) == stamp
                else read_properties(self._file(*key[:2]), self._block / key[2])
                for key, stamp in stamps.items()
            }
            self._families = _describe(self._known)
            self._stamps = stamps
            self._read_at = now if is_old else self._read_at
        return self._families

    def _file(self, major: str, minor: str) -> str:
        return f"{self._udev}/b{major}:{minor}"

    def _stamp(self, disk: Disk) -> tuple[int, int] | None:
        try:
            found = os.stat(self._file(disk.major, disk.minor))  # noqa: PTH116 - in every scrape, for every disk
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


def _describe(known: dict[tuple[str, str, str], Properties]) -> list[Family]:
    info, filesystems, mappers = {}, {}, {}
    ata: dict[str, dict[tuple[str, ...], float]] = {key: {} for key in _ATA}
    for (major, minor, device), (udev, rotational) in known.items():
        get = udev.get
        # the first is the number on the disk's label
        serial = get("SCSI_IDENT_SERIAL") or get("ID_SERIAL_SHORT", "")
        model, path, revision, wwn = (get(f"ID_{what}", "") for what in ("MODEL", "PATH", "REVISION", "WWN"))
        info[(device, major, minor, model, path, revision, rotational, serial, wwn)] = 1
        if get("ID_FS_TYPE"):
            filesystems[(device, *(get(f"ID_FS_{what}", "") for what in ("TYPE", "USAGE", "UUID", "VERSION")))] = 1
        if get("DM_NAME"):
            parts = ("LV_LAYER", "LV_NAME", "NAME", "UUID", "VG_NAME")
            mappers[(device, *(get(f"DM_{what}", "") for what in parts))] = 1
        if get("ID_ATA"):
            for key, values in ata.items():
                if (value := _number(get(key))) is not None:
                    values[(device,)] = value
    return [
        _INFO.of(info),
        _FILESYSTEM.of(filesystems),
        _MAPPER.of(mappers),
        *(_ATA[key].of(values) for key, values in ata.items()),
    ]


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
