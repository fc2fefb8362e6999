"""From a process as the table holds it to the name of its own group, by the rules that the actions use too."""

from __future__ import annotations

from pathlib import Path

from exporter.procfs.members import slurp
from exporter.procfs.record import Record
from selfheal.common.processes import Grouping
from selfheal.common.procfs import TICKS_PER_SECOND, Process, boot_time, parse_argv, parse_cgroups, parse_effective_uid


class Namer:
    """The rules, and what must be read besides because a name holds it."""

    def __init__(self, procfs: Path, grouping: Grouping) -> None:
        self._procfs = procfs
        self._grouping = grouping
        self._boot: float | None = None

    def __call__(self, record: Record) -> str | None:
        """Given a process, return the group of the first rule that it matches itself, or None."""
        stat, grouping = record.stat, self._grouping
        argv = parse_argv(record.arguments)
        comm = record.comm
        uid, started = 0, 0.0
        cgroups: tuple[str, ...] = ()
        try:
            if grouping.uses_user:
                uid = parse_effective_uid(slurp(record.path + b"status", 4096))
            if grouping.uses_cgroups:
                cgroups = parse_cgroups(slurp(record.path + b"cgroup"))
            if grouping.uses_start:
                started = self._boot_time() + stat.start_ticks / TICKS_PER_SECOND
        except (OSError, ValueError):
            # it has ended, or hides what its group would be named after
            return None
        return grouping.group_of(
            Process(
                record.pid, stat.start_ticks, uid, stat.ppid, comm, argv, (argv[0] if argv else "") or comm, stat.state,
                0, 0, stat.threads, cgroups, started,
            )
        )  # fmt: skip

    @property
    def can_differ(self) -> bool:
        """Say whether a process can be in another group although its name and arguments are the same."""
        return self._grouping.uses_user or self._grouping.uses_cgroups

    def _boot_time(self) -> float:
        # once: the kernel derives it from the clock, which may be set, and a name must not change with it
        if self._boot is None:
            self._boot = boot_time(self._procfs)
        return self._boot
