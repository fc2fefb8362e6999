"""The only writer of the kernel's own files: what a control group shall give back, and the page cache.

Each is one write of a number into a file that is found from its fixed place, never from a label.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from remediator.errors import ActionFailed
from remediator.policy import Door, Policy
from remediator.policy import memory as memory_rules
from remediator.policy.owned import untrusted
from remediator.policy.unit_facts import read_units, unit_refusal
from remediator.shell import keep_output

CGROUPS = Path("fs/cgroup")
"""Below /sys: where a host with control groups of version 2 alone shows them."""
MARK = "cgroup.controllers"
"""A file that only version 2 has (Documentation/admin-guide/cgroup-v2.rst)."""
CHUNK = 64 * 1024 * 1024
"""Bytes asked for in one write: the kernel answers only when it is done, and the time is looked at in between."""
PAGE_CACHE = "1"
"""Of drop_caches: clean pages of files alone. Directory entries and inodes (2) are costly to read again."""

_ASKED = ("Id", "Names", "LoadState", "MainPID", "ControlGroup")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The control group of one unit as it was found: a unit that is started anew has another inode."""

    unit: str
    path: str
    """Below the top of the control groups, beginning with `/`, as systemd tells it."""
    inode: int
    current: int
    """Bytes that it is charged with (`memory.current`)."""


def find_cgroup(unit: str, policy: Policy, deadline: float, monotonic: Callable[[], float]) -> Cgroup | None:
    """Given a unit, return its control group, or None where nothing can be reclaimed.

    None is a host of version 1, a kernel before 5.19, a unit without memory accounting, or one that does not run.
    Raise Refused if the policy does not permit it or it is one that is never touched, ActionFailed if systemd does not
    tell of it, OSError if it cannot be read.
    """
    policy.unit(unit, memory_rules.RECLAIM)
    if not _is_version_2(policy):
        return None
    path = _ask_systemd(unit, policy, deadline, monotonic)
    if not path:
        return None
    _may_reclaim(unit, path, policy)
    descriptor = _open(path, policy)
    if descriptor is None:
        return None
    try:
        return Cgroup(unit, path, os.fstat(descriptor).st_ino, _number(descriptor, "memory.current"))
    except FileNotFoundError:
        return None
    finally:
        os.close(descriptor)


def reclaim(
    planned: Cgroup, amount: int, policy: Policy, deadline: float, monotonic: Callable[[], float]
) -> tuple[int, int, str | None]:
    """Given a control group as it was planned, have it give back up to `amount` bytes.

    Return its bytes before and after, and why less than that was asked for, or None. Raise Refused if it is another one
    now or may not be touched any more, OSError if it cannot be written.
    """
    policy.unit(planned.unit, memory_rules.RECLAIM)
    _may_reclaim(planned.unit, planned.path, policy)
    if _ask_systemd(planned.unit, policy, deadline, monotonic) != planned.path:
        raise policy.refused(Door.KERNEL, f"unit {planned.unit!r} has another control group than was planned")
    descriptor = _open(planned.path, policy)
    if descriptor is None:
        raise policy.refused(Door.KERNEL, f"the control group of {planned.unit!r} is not there any more")
    try:
        if os.fstat(descriptor).st_ino != planned.inode:
            raise policy.refused(Door.KERNEL, f"unit {planned.unit!r} was started anew since this was planned")
        before = _number(descriptor, "memory.current")
        left, why = amount, None
        while left > 0 and why is None:
            if monotonic() >= deadline:
                why = "the time was over"
            elif not _ask_back(descriptor, min(left, CHUNK)):
                why = "the kernel found no more to reclaim"
            else:
                left -= CHUNK
        return before, _number(descriptor, "memory.current"), why
    finally:
        os.close(descriptor)


def may_drop_caches(policy: Policy) -> None:
    """Return if the page cache may be dropped here. Raise Refused if the policy or the kernel does not let us."""
    refusal = memory_rules.refusal(policy)
    if refusal is None and not os.access(_drop_file(policy), os.W_OK):
        refusal = f"the kernel lets uid {os.geteuid()} not write {_drop_file(policy)}"
    if refusal is not None:
        raise policy.refused(Door.KERNEL, refusal)


def drop_caches(policy: Policy) -> None:
    """Drop the clean pages of the page cache. Raise Refused as `may_drop_caches` does, OSError if that fails."""
    may_drop_caches(policy)
    _write(os.open(_drop_file(policy), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC), PAGE_CACHE)


def _ask_systemd(unit: str, policy: Policy, deadline: float, monotonic: Callable[[], float]) -> str:
    """Return a unit's control group, empty where it has none. Raise Refused if it is one that is never touched."""
    systemctl = policy.programs.systemctl
    refusal = untrusted(systemctl) if Path(systemctl).exists() else None
    if refusal is None:
        argv = (systemctl, "--no-ask-password", "show", f"--property={','.join(_ASKED)}", "--", unit)
        code, output, error = keep_output(argv, {}, b"", deadline, monotonic)
        if code != 0:
            raise ActionFailed(f"systemd does not tell of unit {unit!r}: {error[-200:]}")
        facts = next(iter(read_units(output.decode("utf-8", "replace"))), {})
        refusal = unit_refusal(unit, facts, policy.procfs)
    if refusal is not None:
        raise policy.refused(Door.KERNEL, refusal)
    return facts.get("ControlGroup", "")


def _may_reclaim(unit: str, path: str, policy: Policy) -> None:
    parts = PurePosixPath(path).parts
    # the last part is the unit's own, so that no answer of systemd can lead us to a slice or to the top
    whole = path.startswith("/") and str(PurePosixPath(path)) == path and ".." not in parts and parts[-1] == unit
    if not whole:
        raise policy.refused(Door.KERNEL, f"{path!r:.200} is not the control group of unit {unit!r}")


def _is_version_2(policy: Policy) -> bool:
    return (policy.sysfs / CGROUPS / MARK).is_file()


def _open(path: str, policy: Policy) -> int | None:
    """Open a control group without following links; None where there is none, or no memory can be reclaimed in it."""
    if not _is_version_2(policy):
        return None
    descriptor = os.open(policy.sysfs / CGROUPS, _FOLDER)
    try:
        for part in PurePosixPath(path).parts[1:]:
            following = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
        found = os.stat("memory.reclaim", dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            return descriptor
    except FileNotFoundError:
        pass
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise policy.refused(Door.KERNEL, f"{path!r} leads over a link; links are never followed") from error
        raise
    os.close(descriptor)
    return None


def _number(folder: int, name: str) -> int:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return int(os.read(descriptor, 64))
    finally:
        os.close(descriptor)


def _ask_back(folder: int, amount: int) -> bool:
    """Ask for bytes; the kernel says EAGAIN if it could not give back all of them."""
    try:
        _write(os.open("memory.reclaim", os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), str(amount))
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, text: str) -> None:
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)


def _drop_file(policy: Policy) -> Path:
    return policy.procfs / "sys/vm/drop_caches"
