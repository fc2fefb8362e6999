"""The only sender of signals: the process is held by a pidfd first, then everything about it is read again, then sent.

Pids come from a plan made on this host, never from a metric or a label.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from remediator.errors import Refused
from remediator.model import Json
from remediator.policy import Door, Policy
from remediator.policy.protected import read_standing, refusal_by_kind
from selfheal.common.processes import Grouping, Process, boot_id, nearest_groups, read_process
from selfheal.common.procfs import TICKS_PER_SECOND

SIGCHLD = signal.SIGCHLD
SENDABLE = frozenset({signal.SIGTERM, signal.SIGKILL, SIGCHLD, signal.SIGCONT})
MOST_PIDS = 1 << 22
"""Above every pid (PID_MAX_LIMIT of include/linux/threads.h)."""
LONGEST_DEATH = 5.0
"""Seconds that a killed process is waited for; one that the kernel cannot end yet (frozen, or in a disk wait) stays."""


class Gone(Exception):
    """The process of the identity has ended; its pid may by now be another's."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One process as a plan lists it: the boot, its pid and start time, and what it was when it was planned."""

    boot: str
    pid: int
    start_ticks: int
    uid: int
    group: str

    def to_item(self) -> Json:
        """Return it as an item of a plan."""
        return {
            "kind": "process",
            "pid": self.pid,
            "start_ticks": self.start_ticks,
            "group": self.group,
            "uid": self.uid,
            "boot_id": self.boot,
        }

    @classmethod
    def of_item(cls, item: Json) -> Identity:
        """Given an item of a stored plan, return its identity. Raise Refused if it is not such an item."""
        values = [item.get(key) for key in ("boot_id", "pid", "start_ticks", "uid", "group")]
        whole = item.get("kind") == "process" and [type(value) for value in values] == [str, int, int, int, str]
        # the kernel reads 0 and below as groups of processes
        if not whole or not 0 < item["pid"] < MOST_PIDS:
            raise Refused(f"the stored plan names no process: {item!r:.200}")
        return cls(*values)  # type: ignore[arg-type]  # their types stand in the line above


@dataclass(frozen=True, slots=True)
class Held:
    """A process that was checked while its pidfd was open; signals through it can reach no other process."""

    identity: Identity
    process: Process
    _pidfd: int

    def send(self, number: signal.Signals) -> bool:
        """Send a signal and return whether the process was still there. Raise Refused if the kernel forbids it."""
        if number not in SENDABLE:
            raise Refused(f"{number!r} is never sent; only {', '.join(sorted(one.name for one in SENDABLE))} are")
        return _send(self._pidfd, self.identity.pid, number)

    @property
    def has_ended(self) -> bool:
        """Say whether the process has ended; a zombie has."""
        return not _waits([self._pidfd], 0.0)

    def fileno(self) -> int:
        """Return the pidfd: it becomes readable when the process ends."""
        return self._pidfd


@dataclass(slots=True)
class Ending:
    """What became of one process that should end."""

    held: Held
    sent: list[str] = field(default_factory=list)
    ended: bool = False
    refused: str | None = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal and note it, or note why the kernel forbids it: the others must still be told."""
        try:
            if self.held.send(number):
                self.sent.append(number.name)
        except Refused as error:
            self.refused = error.detail

    def to_effect(self) -> Json:
        """Return it as an effect of an outcome."""
        return {**self.held.identity.to_item(), "signals": list(self.sent)}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an ending may take: `grace` seconds until the kill, and a monotonic deadline for all of it."""

    grace: float
    deadline: float
    monotonic: Callable[[], float]


def identify(process: Process, group: str, procfs: Path) -> Identity:
    """Given a process read just now and its group, return its identity."""
    return Identity(boot_id(procfs), process.pid, process.start_ticks, process.uid, group)


@contextmanager
def hold(identity: Identity, policy: Policy) -> Iterator[Held]:
    """Given an identity of a plan, check its process while holding it and give it for as long as the block lasts.

    Raise Gone if it has ended, Refused if it may not be signalled, OSError if `/proc` cannot be read.
    """
    procfs = policy.procfs
    if (procfs / "self").readlink().name != str(os.getpid()):
        what = f"{procfs} shows another pid namespace than ours, so its pids mean nothing here"
        raise policy.refused(Door.SIGNALS, what)
    if identity.boot != boot_id(procfs):
        raise Gone
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError as error:
        raise Gone from error
    try:
        threading.Event().wait(still_ambiguous(identity.start_ticks, time.clock_gettime(time.CLOCK_BOOTTIME)))
        process = read_process(procfs, identity.pid)
        if process is None or process.start_ticks != identity.start_ticks or process.is_zombie:
            raise Gone
        refusal = _changed(identity, process, policy) or refusal_of(process, identity.group, policy)
        if not _waits([pidfd], 0.0):
            # it ended while it was read, so what was read may be another's
            raise Gone
        if refusal is not None:
            raise policy.refused(Door.SIGNALS, refusal)
        try:
            _ask_kernel(pidfd, identity.pid)
        except Refused as error:
            raise policy.refused(Door.SIGNALS, error.detail) from error
        yield Held(identity, process, pidfd)
    finally:
        os.close(pidfd)


@contextmanager
def hold_all(identities: Sequence[Identity], policy: Policy) -> Iterator[tuple[list[Held], list[Json]]]:
    """Hold every process of a plan that is still there, and say which were refused and why; the ended are left out.

    All are checked before anything is sent: ending a parent would change the group that its children are seen in.
    """
    held, refused = [], []
    with ExitStack() as stack:
        for identity in identities:
            try:
                held.append(stack.enter_context(hold(identity, policy)))
            except Gone:
                continue
            except Refused as error:
                refused.append({"pid": identity.pid, "why": error.detail})
        yield held, refused


def still_ambiguous(start_ticks: int, uptime: float) -> float:
    """Given a process's start and the seconds since boot, return for how long another could get the same identity.

    A start is told in ticks. Within the tick in which a process began its pid can end, be given to another, and look
    the same; a plan made after that tick can mean no other one. At most two ticks.
    """
    tick = 1.0 / TICKS_PER_SECOND
    return min(max(0.0, (start_ticks + 1) * tick - uptime), 2 * tick)


def refusal_of(process: Process, group: str | None, policy: Policy) -> str | None:
    """Given a process as it is now and its group, return why it may never be signalled here, or None.

    Raise OSError if `/proc` cannot be read.
    """
    pid = process.pid
    if pid == os.getpid():
        return f"pid {pid} is the remediator itself"
    if pid != 1 and pid in _ancestors(policy.procfs):
        return f"pid {pid} is an ancestor of the remediator"
    standing = read_standing(policy.procfs, pid)
    if standing is None:
        return f"pid {pid} has just ended"
    return refusal_by_kind(process, standing, policy.procfs) or policy.may_signal(process, group, standing.uids)


def group_now(process: Process, grouping: Grouping, procfs: Path) -> str | None:
    """Given a process read just now, return its group by its own match or its nearest matching ancestor's, or None."""
    own: dict[int, str | None] = {}
    parents: dict[int, int] = {}
    current: Process | None = process
    while current is not None and current.pid not in own:
        own[current.pid] = None if current.is_zombie else grouping.group_of(current)
        parents[current.pid] = current.ppid
        if own[current.pid] is not None:
            break
        current = read_process(procfs, current.ppid) if current.ppid else None
    return nearest_groups(own, parents).get(process.pid)


def end(held: Sequence[Held], patience: Patience) -> list[Ending]:
    """Ask every held process to end, wait for `grace`, kill the rest by the same pidfds; return what became of each.

    A stopped process is continued after the request, because until then it cannot hear it.
    """
    endings = [Ending(one) for one in held]
    for ending in endings:
        ending.send(signal.SIGTERM)
        if ending.held.process.state in ("T", "t"):
            ending.send(signal.SIGCONT)
    # the kill must come before the deadline, and its effect too
    left = patience.deadline - patience.monotonic()
    _wait_for(endings, min(patience.grace, left * 0.75), patience.monotonic)
    for ending in endings:
        if not ending.ended:
            ending.send(signal.SIGKILL)
    left = max(patience.deadline - patience.monotonic(), 0.1)
    _wait_for(endings, min(LONGEST_DEATH, left), patience.monotonic)
    return endings


def _wait_for(endings: Sequence[Ending], seconds: float, monotonic: Callable[[], float]) -> None:
    end_at = monotonic() + seconds
    while True:
        waiting = [ending for ending in endings if not ending.ended]
        alive = _waits([ending.held.fileno() for ending in waiting], max(0.0, end_at - monotonic()))
        for ending in waiting:
            ending.ended = ending.held.fileno() not in alive
        if not alive or monotonic() >= end_at:
            return


def _waits(pidfds: Sequence[int], seconds: float) -> set[int]:
    """Wait until one of the processes ends, or `seconds`; return the pidfds of those still there."""
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    ended = {pidfd for pidfd, _ in poll.poll(seconds * 1000)} if pidfds else set()
    return set(pidfds) - ended


def _send(pidfd: int, pid: int, number: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise Refused(f"the kernel forbids uid {os.geteuid()} to signal pid {pid}") from error
    return True


def _ask_kernel(pidfd: int, pid: int) -> None:
    # signal 0 sends nothing: it asks whether we may
    if not _send(pidfd, pid, 0):
        raise Gone


def _changed(identity: Identity, process: Process, policy: Policy) -> str | None:
    if process.uid != identity.uid:
        return f"pid {identity.pid} ran as uid {identity.uid} when it was planned and now as {process.uid}"
    group = group_now(process, policy.grouping, policy.procfs)
    if group != identity.group:
        return f"pid {identity.pid} was in group {identity.group!r} when it was planned and now is in {group!r}"
    return None


def _ancestors(procfs: Path) -> set[int]:
    found: set[int] = set()
    pid = os.getppid()
    while pid and pid not in found:
        found.add(pid)
        parent = read_process(procfs, pid)
        pid = parent.ppid if parent is not None else 0
    return found
