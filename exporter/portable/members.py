"""Processes as psutil tells of them: all of them shortly, for their groups, and members in detail."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import psutil

from exporter.accounts import Counters
from exporter.portable.system import SYSTEM, System
from selfheal.common.processes import Grouping, Process

UNKNOWN = -1
"""A counter that may not be read, or that this system does not have."""

# the kernel's own limit of a name: psutil completes longer ones from the arguments
_COMM_BYTES = 15
_MICROSECONDS = 1_000_000
# as in the groups by procfs, which have it from process-exporter
_UNLIMITED = float(2**64 - 1)

_SHORTLY = ("cmdline", "create_time", "name", "ppid", "status")
_IN_DETAIL = {
    System.LINUX: ("cpu_times", "create_time", "io_counters", "memory_info", "num_fds", "num_threads"),
    System.MACOS: ("cpu_times", "create_time", "memory_info", "num_fds", "num_threads"),
    System.WINDOWS: ("cpu_times", "create_time", "io_counters", "memory_info", "num_handles", "num_threads"),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One process that is there now: what it takes to find its group."""

    process: psutil.Process
    parent: int
    created: float
    own: str | None
    """The group that it matches itself."""
    is_zombie: bool


class Member(NamedTuple):
    """What one member uses, in bytes, and has used since it began."""

    counters: Counters
    """Microseconds in user and system mode, minor and major page faults, bytes read and written."""
    created: float
    """Seconds since the epoch."""
    resident: int
    virtual: int
    """On Windows what it has been promised, in memory or page file."""
    threads: int
    files: int
    """Open descriptors; on Windows handles."""
    limit: float
    """Of open descriptors; 0 if not known."""
    hidden: int
    """How many of these could not be read for want of rights."""


def list_processes(grouping: Grouping) -> tuple[dict[int, Listed], int]:
    """Given the rules, return every process by its pid, and how many there are besides that cannot even be named.

    Raise OSError or psutil.Error if there is no list of them.
    """
    found: dict[int, Listed] = {}
    unreadable = 0
    for pid in psutil.pids():
        try:
            # anew each time: psutil keeps in one object what it once read
            process = psutil.Process(pid)
            found[pid] = _list(process, process.as_dict(_SHORTLY), grouping)
        except psutil.NoSuchProcess:
            # it ended since the pids were listed
            continue
        except (psutil.Error, OSError):
            unreadable += 1
    return (_without_false_parents(found) if SYSTEM is System.WINDOWS else found), unreadable


def count_zombies() -> int:
    """Return how many zombies there are."""
    zombies = 0
    for pid in psutil.pids():
        try:
            zombies += psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            # it has ended, or hides even this
            continue
    return zombies


def is_same(now: Listed, before: Listed) -> bool:
    """Say whether two looks at one pid saw one process: psutil compares when they were created."""
    if SYSTEM is System.WINDOWS and now.created != before.created:
        # not run here: of the system's own processes psutil compares the pid alone
        return False
    return now.process == before.process


def _list(process: psutil.Process, known: Mapping[str, Any], grouping: Grouping) -> Listed:
    is_zombie = known["status"] == psutil.STATUS_ZOMBIE
    created = known["create_time"] or 0.0
    own = None if is_zombie else grouping.group_of(_described(process, known, grouping))
    return Listed(process, known["ppid"] or 0, created, own, is_zombie)


def _described(process: psutil.Process, known: Mapping[str, Any], grouping: Grouping) -> Process:
    argv = tuple(map(_text, _arguments(process, known["cmdline"])))
    comm = _text(known["name"] or "")
    if SYSTEM is System.LINUX:
        comm = comm.encode()[:_COMM_BYTES].decode("utf-8", "replace")
    uid, user = _owner(process) if grouping.uses_user else (0, "")
    return Process(
        process.pid, 0, uid, known["ppid"] or 0, comm, argv, (argv[0] if argv else "") or comm, "", 0, 0,
        started=known["create_time"] or 0.0, user=user,
    )  # fmt: skip


def _arguments(process: psutil.Process, arguments: list[str] | None) -> list[str]:
    if arguments is not None:
        return arguments
    try:
        # not run here: arguments of others' processes are hidden on macOS and Windows, but not what they run
        return [process.exe()]
    except psutil.AccessDenied:
        return []


def _owner(process: psutil.Process) -> tuple[int, str]:
    try:
        if SYSTEM is System.WINDOWS:
            # not run here: users have names only
            return 0, process.username()
        return process.uids().effective, ""
    except psutil.AccessDenied:
        return 0, "unknown"


def _text(text: str) -> str:
    # psutil keeps bytes that are no UTF-8 as halves of surrogates, which no page can hold
    return os.fsencode(text).decode("utf-8", "replace") if not text.isascii() else text


def _without_false_parents(found: dict[int, Listed]) -> dict[int, Listed]:
    """Windows, not run there: a pid that stands for a parent may be another's by now, which is younger."""
    true = {}
    for pid, listed in found.items():
        parent = found.get(listed.parent)
        if parent is not None and parent.created > listed.created:
            listed = Listed(listed.process, 0, listed.created, listed.own, listed.is_zombie)
        true[pid] = listed
    return true


def read_member(process: psutil.Process) -> Member:
    """Given a process, return what it uses. Raise psutil.NoSuchProcess if it has ended, also if its pid lives on."""
    known = process.as_dict(_IN_DETAIL[SYSTEM])
    limit = _limit(process)
    # what was read above may be another's if the pid was given away meanwhile
    if not process.is_running():
        raise psutil.NoSuchProcess(process.pid)
    cpu, memory, storage = known["cpu_times"], known["memory_info"], known.get("io_counters")
    files = known["num_handles" if SYSTEM is System.WINDOWS else "num_fds"]
    return Member(
        counters=(
            UNKNOWN if cpu is None else round(cpu.user * _MICROSECONDS),
            UNKNOWN if cpu is None else round(cpu.system * _MICROSECONDS),
            *_faults(memory),
            UNKNOWN if storage is None else storage.read_bytes,
            UNKNOWN if storage is None else storage.write_bytes,
        ),
        created=known["create_time"] or 0.0,
        resident=0 if memory is None else memory.rss,
        virtual=0 if memory is None else memory.vms,
        threads=known["num_threads"] or 0,
        files=files or 0,
        limit=limit,
        hidden=sum(part is None for part in known.values()),
    )


def _faults(memory: Any) -> tuple[int, int]:
    """Return minor and major page faults."""
    if SYSTEM is not System.MACOS or memory is None:
        return UNKNOWN, UNKNOWN
    # not run here: the kernel counts all faults, and those for which it read from storage
    return memory.pfaults - memory.pageins, memory.pageins


def _limit(process: psutil.Process) -> float:
    if SYSTEM is not System.LINUX:
        return 0.0
    try:
        soft, _ = process.rlimit(psutil.RLIMIT_NOFILE)
    except psutil.AccessDenied:
        return 0.0
    return float(soft) if soft >= 0 else _UNLIMITED
