"""Which version of control groups this machine mounts: it decides which limits systemd can keep, and by which name."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

TOP = "/sys/fs/cgroup"
"""Where systemd mounts them."""
_CONTROLLERS = "fs/cgroup/cgroup.controllers"


class Version(Enum):
    """A version of control groups."""

    ONE = 1
    TWO = 2


def version_of(controller: str, procfs: Path, sysfs: Path) -> Version | None:
    """Given a controller, as `memory`, return the version in which it is mounted, or None.

    Raise OSError if the mounts, or the controllers of version 2, cannot be read.
    """
    try:
        mounts = (procfs / "self/mounts").read_text("utf-8", "replace")
    except FileNotFoundError:
        # another pid namespace's procfs has no self for us; its first process sees what all of it do
        mounts = (procfs / "1/mounts").read_text("utf-8", "replace")
    found = mounted_version(controller, mounts)
    # mounted is all of version 2 at once, whichever of its controllers this kernel or container has
    if found is Version.TWO and controller not in (sysfs / _CONTROLLERS).read_text("utf-8", "replace").split():
        return None
    return found


def mounted_version(controller: str, mounts: str) -> Version | None:
    """Given a controller and the text of `/proc/PID/mounts`, return what `version_of` returns.

    In the hybrid layout version 2 stands below the top and has no controllers.
    """
    found = None
    for line in mounts.splitlines():
        _, at, kind, options, *_ = [*line.split(" "), "", "", "", ""]
        if kind == "cgroup" and at.startswith(f"{TOP}/") and controller in options.split(","):
            return Version.ONE
        if kind == "cgroup2" and at == TOP:
            found = Version.TWO
    return found
