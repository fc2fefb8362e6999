"""The mount table: `/proc/PID/mountinfo`, proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system as the host knows it."""

    device: str
    mountpoint: str
    fstype: str
    options: frozenset[str]

    @property
    def is_readonly(self) -> bool:
        """Say whether the mount itself or its file system is read-only."""
        return "ro" in self.options


def parse_mounts(data: bytes) -> list[Mount]:
    """Given the bytes of mountinfo, return the mounts in order. Raise ValueError if one is broken or there is none."""
    mounts = [_parse_line(line) for line in data.decode("utf-8", "replace").split("\n") if line]
    if not mounts:
        raise ValueError("mountinfo is empty")
    return mounts


def read_mounts(procfs: Path) -> bytes:
    """Return the mount table of pid 1, or ours where that may not be read. Raise OSError if neither can be."""
    try:
        return (procfs / "1/mountinfo").read_bytes()
    except OSError:
        # without rights on pid 1 our own view is the best there is, as in node_exporter
        return (procfs / "self/mountinfo").read_bytes()


def _parse_line(line: str) -> Mount:
    # a dash ends the optional fields, of which there may be any number
    before, dash, after = line.partition(" - ")
    fields, rest = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(rest) < 3:
        raise ValueError(f"not a line of mountinfo: {line!r}")
    options = frozenset(fields[5].split(",")) | frozenset(rest[2].split(","))
    return Mount(_unescape(rest[1]), _unescape(fields[4]), _unescape(rest[0]), options)


def _unescape(text: str) -> str:
    # the kernel writes blank, tab, newline, backslash and hash as three octal digits
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
