"""What is known of one process between two looks."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.procfs.members import Stat, Thread

UNKNOWN = -1
"""A number that may not be read."""


class Record:
    """One process of this boot: what was read of it when it last ran, and its memory now.

    `counters` (ticks, faults, switches, bytes) and all else that is wanted of members only is read while `member` is
    set. `version` moves with the name and the arguments, so that nobody needs to compare those.
    """

    __slots__ = (
        "arguments", "clock", "clock_id", "counters", "descriptor", "limit", "member", "open_files", "path", "pid",
        "readings", "resident_pages", "stat", "statm", "storage", "swapped_bytes", "thread_list", "thread_states",
        "unreadable", "version", "wchans",
    )  # fmt: skip

    def __init__(self, pid: int, path: bytes, stat: Stat, clock: int) -> None:
        self.pid = pid
        self.path = path
        # the CPU clock of a whole other process: clock_getcpuclockid(3) without its library call
        self.clock_id = (~pid << 3) | 2
        self.clock = clock
        self.stat = stat
        self.resident_pages = 0
        self.arguments = b""
        self.version = 0
        self.member = False
        self.readings = 0
        self.unreadable = False
        self.descriptor = -1
        self.statm = b""
        self.counters: tuple[int, ...] = ()
        self.storage: tuple[int, ...] = ()
        self.open_files = UNKNOWN
        self.limit = 0.0
        self.swapped_bytes = 0
        self.thread_states = stat.state
        self.thread_list: tuple[Thread, ...] = ()
        self.wchans: tuple[str, ...] = ()

    @property
    def comm(self) -> str:
        """The name, at most 15 bytes, that a process can choose freely."""
        return self.stat.comm.decode("utf-8", "replace")

    @property
    def is_zombie(self) -> bool:
        """Say whether it has ended and waits for its parent.

        A process whose main thread alone has ended also shows Z, but lives on in its other threads.
        """
        return self.stat.state in ("Z", "X") and self.stat.threads <= 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of a process that ran, beyond its `stat` and a member's counters."""

    open_files: bool = False
    """How many files are open, of every process instead of members only."""
    thread_states: bool = False
    """The states of the threads, of every process instead of members only."""
    threads: bool = False
    """Everything about each thread of members."""
    recheck_seconds: float = 0.0
    """For so long after its start a process's arguments are read whenever it ran, not only when likely to differ."""
    held: int = 2500
    """How many `statm` are held open."""
