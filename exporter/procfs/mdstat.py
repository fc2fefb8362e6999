"""Software RAID arrays: `/proc/mdstat`, md(4). Its text is meant for people; what is read of it is its numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

_STATUS = re.compile(r"(\d+) blocks .*\[(\d+)/(\d+)\] \[[U_]+\]")
_SYNCED = re.compile(r"\((\d+)/\d+\)")
# word of the progress line → what the array does; the first that is found counts
_ACTIVITIES = (("recovery", "recovering"), ("check", "check"), ("resync", "resync"))
_WAITING = ("PENDING", "DELAYED")


class Array(NamedTuple):
    """One array; sizes in blocks of 1 KiB."""

    name: str
    state: str
    """What it does: `active`, `inactive`, `recovering`, `resync`, `check`, or another word of the kernel."""
    active: int
    required: int
    failed: int
    spare: int
    blocks: int
    synced: int


def parse_mdstat(data: bytes) -> list[Array]:
    """Given the bytes of mdstat, return its arrays in order. Raise ValueError if the lines of one are broken."""
    lines = data.decode("utf-8", "replace").split("\n")
    return [
        _parse_array(line, lines[number + 1 : number + 4])
        for number, line in enumerate(lines)
        # what belongs to an array is indented below its line
        if line and not line[0].isspace() and not line.startswith(("Personalities", "unused"))
    ]


def _parse_array(line: str, below: list[str]) -> Array:
    words = line.split()
    if len(words) < 3:
        raise ValueError(f"not an array in mdstat: {line!r}")
    name, state = words[0], words[2]
    if len(below) < 3:
        raise ValueError(f"{name} in mdstat has too few lines")
    blocks, required, active = _parse_status(name, line, below[0])
    progress = below[2] if "bitmap" in below[1] else below[1]
    synced = blocks
    for word, activity in _ACTIVITIES:
        if word in progress:
            state, synced = activity, _parse_progress(name, progress)
            break
    return Array(name, state, active, required, line.count("(F)"), line.count("(S)"), blocks, synced)


def _parse_status(name: str, line: str, status: str) -> tuple[int, int, int]:
    """Return the blocks, how many disks are required and how many are active."""
    words = status.split()
    if not words or not words[0].isdecimal():
        raise ValueError(f"no size of {name} in mdstat: {status!r}")
    blocks = int(words[0])
    if "raid0" in line or "linear" in line:
        # without redundancy it needs all it has: each disk has its number in brackets
        disks = line.count("[")
        return blocks, disks, disks
    if "inactive" in line:
        return blocks, 0, 0
    found = _STATUS.search(status)
    if found is None:
        raise ValueError(f"no numbers of disks of {name} in mdstat: {status!r}")
    return blocks, int(found[2]), int(found[3])


def _parse_progress(name: str, progress: str) -> int:
    if any(word in progress for word in _WAITING):
        return 0
    found = _SYNCED.search(progress)
    if found is None:
        raise ValueError(f"no progress of {name} in mdstat: {progress!r}")
    return int(found[1])
