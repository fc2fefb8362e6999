"""Tells how full the host's file systems are, and what takes most room below a root that the policy lists."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from remediator.errors import ActionFailed
from remediator.files import open_root
from remediator.model import Argument, ArgumentType, Context, Json

name = "disk"
arguments: Mapping[str, Argument] = {
    "mountpoint": Argument(ArgumentType.TEXT),
    "root": Argument(ArgumentType.ROOT),
}

MOST_FILE_SYSTEMS = 20
MOST_FILES = 20
"""Largest files of a root that are told."""
_REMOTE = re.compile(r"(nfs|cifs|smb|9p|fuse|ceph|afs|gluster|lustre)")
"""File systems that may never answer; they are asked only by name."""
_VIRTUAL = frozenset(
    {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "securityfs", "debugfs", "tracefs", "bpf", "autofs"}
    | {"pstore", "configfs", "binfmt_misc", "hugetlbfs", "efivarfs", "nsfs", "ramfs", "devtmpfs", "squashfs", "fusectl"}
)


def run(arguments: Mapping[str, Any], context: Context) -> Json:
    """Return room and inodes of one mount point or of all local ones, and the largest files of a root that is named.

    Raise ActionFailed if nothing is mounted there, Refused if the policy does not list the root, OSError.
    """
    mounts = _mounts((context.procfs / "self/mountinfo").read_text("utf-8", "replace"))
    wanted = arguments["mountpoint"]
    if wanted is not None:
        # a look-up, not a path: only what is mounted is looked at
        if wanted not in mounts:
            raise ActionFailed(f"nothing is mounted at {wanted!r}")
        chosen = [wanted]
    else:
        chosen = [path for path, kind in mounts.items() if kind not in _VIRTUAL and not _REMOTE.match(kind)]
    told: Json = {"file_systems": [_room(path, mounts[path]) for path in chosen[:MOST_FILE_SYSTEMS]]}
    if arguments["root"] is not None:
        told["root"] = _largest(arguments["root"], context)
    return told


def _mounts(text: str) -> dict[str, str]:
    """Given `/proc/self/mountinfo`, return mount point → type; of several at one place the last, which shows."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        found[_unescaped(before.split()[4])] = after.split()[0]
    return found


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def _room(path: str, kind: str) -> Json:
    try:
        room = os.statvfs(path)
    except OSError as error:
        return {"mountpoint": path, "type": kind, "why": error.strerror}
    return {
        "mountpoint": path,
        "type": kind,
        "bytes": room.f_blocks * room.f_frsize,
        "available_bytes": room.f_bavail * room.f_frsize,
        "inodes": room.f_files,
        "available_inodes": room.f_favail,
    }


def _largest(path: str, context: Context) -> Json:
    with open_root(path, context.policy) as opened:
        listing = opened.list()
    by_size = sorted(listing.files, key=lambda file: file.size, reverse=True)
    return {
        "path": path,
        "files": len(by_size),
        "bytes": sum({file.inode: file.size for file in by_size}.values()),
        "largest": [{"path": file.path, "size": file.size} for file in by_size[:MOST_FILES]],
        "left_out": dict(listing.left_out),
    }
