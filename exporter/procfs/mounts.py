"""The mount table: `/proc/PID/mountinfo`, proc_pid_mountinfo(5)."""

from __future__ import annotations

import os
import re
import select
from dataclasses import dataclass
from pathlib import Path

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system as the host knows it; `device` is spelled as in the table, escapes and all.

    Bytes that are no text are kept in the names as Python keeps them in paths.
    """

    device: str
    mountpoint: str
    fstype: str
    options: frozenset[str]
    major: int
    minor: int

    @property
    def is_readonly(self) -> bool:
        """Say whether the mount itself or its file system is read-only."""
        return "ro" in self.options


def parse_mounts(data: bytes) -> list[Mount]:
    """Given the bytes of mountinfo, return the mounts in order. Raise ValueError if one is broken or there is none."""
    mounts = [_parse_line(line) for line in os.fsdecode(data).split("\n") if line]
    if not mounts:
        raise ValueError("mountinfo is empty")
    return mounts


class MountTable:
    """The table of one process, read again only when the kernel says that something was mounted or unmounted.

    With hundreds of mounts reading it costs more than asking them all for their sizes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._poll = select.poll()

    def read_changed(self, *, anyway: bool = False) -> bytes | None:
        """Return the table's bytes, or None if nothing has changed since. Raise OSError if it cannot be read."""
        if self._descriptor is not None and not anyway and not self._poll.poll(0):
            return None
        self.close()
        descriptor = self._descriptor = os.open(self._path, os.O_RDONLY)
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            data = file.readall()
        if os.fstat(descriptor).st_size:
            # an ordinary file: nobody tells when it changes
            self.close()
        else:
            self._poll.register(descriptor, select.POLLPRI)
        return data

    def close(self) -> None:
        """Give the descriptor back; the next read opens the table again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            self._poll = select.poll()
            os.close(descriptor)

    def __del__(self) -> None:
        # absent if __init__ never ran
        if getattr(self, "_descriptor", None) is not None:
            self.close()


def _parse_line(line: str) -> Mount:
    # a dash ends the optional fields, of which there may be any number
    before, dash, after = line.partition(" - ")
    fields, rest = before.split(" "), after.split(" ")
    if not dash or len(fields) < 6 or len(rest) < 3:
        raise ValueError(f"not a line of mountinfo: {line!r}")
    major, _, minor = fields[2].partition(":")
    if not (major.isdecimal() and minor.isdecimal()):
        raise ValueError(f"no device number in mountinfo: {line!r}")
    options = frozenset(fields[5].split(",")) | frozenset(rest[2].split(","))
    return Mount(rest[1], _unescape(fields[4]), rest[0], options, int(major), int(minor))


def _unescape(text: str) -> str:
    # the kernel writes blank, tab, newline, backslash and hash as three octal digits
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)
