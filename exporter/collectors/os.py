"""Name, version and end of support of the operating system, from os-release below the root."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from exporter.encode import Family, Metric
from exporter.procfs.kept import read_file
from exporter.procfs.os_release import parse_os_release
from exporter.settings import NoDataError, Settings

name = "os"
text = "name and version of the operating system"
enabled = True

_LABELS = (
    "build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name",
    "variant", "variant_id", "version", "version_codename", "version_id",
)  # fmt: skip
_VERSION_LABELS = ("id", "id_like", "name")
_INFO = Metric("node_os_info", "gauge", "What os-release says of the operating system; always 1.", _LABELS)
_VERSION = Metric(
    "node_os_version", "gauge", "Version of the operating system as a number: major.minor.", _VERSION_LABELS
)
_SUPPORT_END = Metric(
    "node_os_support_end_timestamp_seconds", "gauge", "When support of this version ends, in seconds since the epoch."
)

_FILES = ("etc/os-release", "usr/lib/os-release")
_MAJOR_MINOR = re.compile(r"[0-9]+\.?[0-9]*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the file again when it was written."""
    families: list[Family] = []
    seen: tuple[Path, int] | None = None
    paths = [settings.paths.rootfs / file for file in _FILES]

    def collect() -> list[Family]:
        nonlocal families, seen
        path, written = _find(paths)
        if (path, written) != seen:
            families = _families(parse_os_release(read_file(path)))
            seen = (path, written)
        return families.copy()

    return collect


def _find(paths: list[Path]) -> tuple[Path, int]:
    for path in paths:
        try:
            return path, path.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    raise NoDataError("there is no os-release")


def _families(release: dict[str, str]) -> list[Family]:
    values = {label: release.get(label.upper(), "") for label in _LABELS}
    families = [_INFO.of({tuple(values.values()): 1})]
    version = _MAJOR_MINOR.match(values["version_id"])
    if version is not None and float(version[0]) > 0:
        families.append(_VERSION.of({tuple(values[label] for label in _VERSION_LABELS): float(version[0])}))
    if release.get("SUPPORT_END"):
        if not _DAY.fullmatch(release["SUPPORT_END"]):
            raise ValueError(f"SUPPORT_END of os-release is not a day: {release['SUPPORT_END']!r}")
        end = datetime.fromisoformat(release["SUPPORT_END"]).replace(tzinfo=UTC)
        families.append(_SUPPORT_END.only(int(end.timestamp())))
    return families
