"""The only setter of priorities: nice values and io priorities of the threads of a process that is held by its pidfd.

The kernel keeps both per thread and takes a thread by its number alone. So the number must be one of the held process's
threads with the planned start before the call, and still be that afterwards.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediator.errors import Refused
from remediator.model import Json
from remediator.policy import Door, Policy
from remediator.signals import MOST_PIDS, Held
from selfheal.common.procfs import GONE, parse_stat

LOWEST_NICE = 19
"""The nicest; from <linux/resource.h> the least nice is -20."""
IDLE, BEST_EFFORT = 3, 2
"""Classes of io priorities (IOPRIO_CLASS_… of <linux/ioprio.h>); 0 is none and 1 is real time."""
LEVELS = 8
"""Of the class best effort, 0 is the most urgent."""

_CLASS_SHIFT = 13
_REAL_TIME = 1
_WHO_PROCESS = 1
_CAP_SYS_NICE = 23
# ioprio_set and ioprio_get of each machine's system call table; libc has no function for them
_CALLS: Mapping[str, tuple[int, int]] = {
    "x86_64": (251, 252),
    "aarch64": (30, 31),
    "riscv64": (30, 31),
    "loongarch64": (30, 31),
    "armv7l": (314, 315),
    "ppc64le": (273, 274),
    "s390x": (282, 283),
}


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread of a process, and a priority that it has or had."""

    tid: int
    start_ticks: int
    value: int

    def to_item(self) -> Json:
        """Return it as a part of a plan's item."""
        return {"tid": self.tid, "start_ticks": self.start_ticks, "was": self.value}

    @classmethod
    def of_item(cls, item: Any) -> Thread:
        """Given a part of a stored item, return its thread. Raise Refused if it is not such a part."""
        values: list[Any] = [item.get(key) for key in ("tid", "start_ticks", "was")] if isinstance(item, dict) else []
        # the kernel reads 0 as whoever calls
        if [type(value) for value in values] != [int, int, int] or not 0 < values[0] < MOST_PIDS:
            raise Refused(f"the stored plan names no thread: {item!r:.200}")
        return cls(*values)


@dataclass(frozen=True, slots=True)
class Priority:
    """One kind of priority: how it is read and written by a thread's number, and what of it is less urgent."""

    name: str
    read: Callable[[int], int]
    write: Callable[[int, int], None]
    is_before: Callable[[Thread, int], bool]
    """Say whether a thread is more urgent than another priority would make it."""


def io_value(kind: int, level: int) -> int:
    """Given a class and a level, return what the kernel keeps of them in one number."""
    return kind << _CLASS_SHIFT | level


def io_parts(value: int) -> tuple[int, int]:
    """Given what the kernel keeps, return class and level."""
    return value >> _CLASS_SHIFT, value & (LEVELS - 1)


def threads_of(procfs: Path, pid: int, priority: Priority, before: int | None = None) -> list[Thread]:
    """Return the threads of a process with their priorities now; those that end meanwhile are left out.

    With `before` only those that are more urgent than it would make them.
    """
    found = []
    try:
        numbers = sorted(int(entry.name) for entry in (procfs / str(pid) / "task").iterdir())
    except GONE:
        return []
    for tid in numbers:
        try:
            thread = Thread(tid, _start(procfs, pid, tid), priority.read(tid))
            if before is None or priority.is_before(thread, before):
                found.append(thread)
        except GONE:
            continue
    return found


def change(held: Held, thread: Thread, priority: Priority, wanted: int, policy: Policy) -> str | None:
    """Given a thread of a held process and the priority it should have now, give it another.

    Return why it was left alone, or None, also if it has what is wanted. Raise Refused if the kernel forbids it.
    """
    pid = held.identity.pid
    try:
        if held.has_ended or _start(policy.procfs, pid, thread.tid) != thread.start_ticks:
            return "has ended"
        now = priority.read(thread.tid)
        if now == wanted:
            return None
        if now != thread.value:
            return f"has another {priority.name} now"
        priority.write(thread.tid, wanted)
        ended = held.has_ended or _start(policy.procfs, pid, thread.tid) != thread.start_ticks
    except GONE:
        return "has ended"
    except PermissionError as error:
        what = f"the kernel forbids uid {os.geteuid()} to set the {priority.name} of pid {pid}"
        raise policy.refused(Door.SIGNALS, what) from error
    return "ended while it was set" if ended else None


def may_be_raised(procfs: Path) -> bool:
    """Say whether this program may make a process less nice again: without the privilege the kernel forbids that."""
    try:
        status = (procfs / "self/status").read_text("ascii", "replace")
        capabilities = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return False
    return bool(int(capabilities, 16) >> _CAP_SYS_NICE & 1)


def _start(procfs: Path, pid: int, tid: int) -> int:
    return parse_stat((procfs / str(pid) / "task" / str(tid) / "stat").read_bytes()).start_ticks


def _is_served_before(thread: Thread, value: int) -> bool:
    return _served(thread) < io_parts(value)


def _served(thread: Thread) -> tuple[int, int]:
    """Return the class and level that the kernel goes by: of a thread of no class it makes them of how it is scheduled.

    As in <linux/ioprio.h>. Raise ProcessLookupError if the thread has ended.
    """
    kind, level = io_parts(thread.value)
    if kind == 0:
        scheduled = os.sched_getscheduler(thread.tid) & ~os.SCHED_RESET_ON_FORK
        kinds = {os.SCHED_IDLE: IDLE, os.SCHED_FIFO: _REAL_TIME, os.SCHED_RR: _REAL_TIME}
        kind, level = kinds.get(scheduled, BEST_EFFORT), (NICE.read(thread.tid) + 20) // 5
    return kind, 0 if kind == IDLE else level


def _io_read(tid: int) -> int:
    return _io_call(1, tid)


def _io_write(tid: int, value: int) -> None:
    _io_call(0, tid, value)


def _io_call(which: int, tid: int, *value: int) -> int:
    # here and not above: few hosts ever need it
    import ctypes

    calls = _CALLS.get(platform.machine())
    if calls is None:
        raise Refused(f"io priorities are not known on a machine of the kind {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_long(number) for number in (calls[which], _WHO_PROCESS, tid, *value)]
    answer = int(libc.syscall(*arguments))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


NICE = Priority(
    "nice value",
    lambda tid: os.getpriority(os.PRIO_PROCESS, tid),
    lambda tid, value: os.setpriority(os.PRIO_PROCESS, tid, value),
    lambda thread, value: thread.value < value,
)
IO = Priority("io priority", _io_read, _io_write, _is_served_before)
