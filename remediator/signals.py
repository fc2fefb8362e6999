"""The only sender of signals: the process is held by a pidfd first, then everything about it is read again, then sent.

Pids come from a plan made on this host, never from a metric or a label.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from remediator.errors import Refused
from remediator.model import Json
from remediator.policy import Policy
from selfheal.common.processes import Grouping, Process, boot_id, nearest_groups, read_process
from selfheal.common.procfs import GONE, ProcessFolder

SIGCHLD = signal.SIGCHLD
SENDABLE = frozenset({signal.SIGTERM, signal.SIGKILL, SIGCHLD, signal.SIGCONT})
LONGEST_DEATH = 5.0
"""Seconds that a killed process is waited for; one that the kernel cannot end yet (frozen, or in a disk wait) stays."""

_KERNEL_THREAD = 0x0020_0000  # PF_KTHREAD of include/linux/sched.h, in field 9 of /proc/PID/stat
_MONITORING_PROGRAMS = frozenset({"prometheus", "alertmanager", "selfheal", "selfheal-exporter"})
_MONITORING_MODULES = frozenset({"exporter", "remediator", "selfheal"})
_PATIENT = "selfheal.stack.patient"


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
        if item.get("kind") != "process" or [type(value) for value in values] != [str, int, int, int, str]:
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
        raise Refused(f"{procfs} shows another pid namespace than ours, so its pids mean nothing here")
    if identity.boot != boot_id(procfs):
        raise Gone
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError as error:
        raise Gone from error
    try:
        process = read_process(procfs, identity.pid)
        if process is None or process.start_ticks != identity.start_ticks or process.is_zombie:
            raise Gone
        refusal = _changed(identity, process, policy) or refusal_of(process, identity.group, policy)
        if not _waits([pidfd], 0.0):
            # it ended while it was read, so what was read may be another's
            raise Gone
        if refusal is not None:
            raise Refused(refusal)
        _ask_kernel(pidfd, identity.pid)
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


def refusal_of(process: Process, group: str | None, policy: Policy) -> str | None:
    """Given a process as it is now and its group, return why it may never be signalled here, or None.

    Raise OSError if `/proc` cannot be read.
    """
    pid = process.pid
    if pid == 1:
        return "pid 1 is the system's first process"
    if pid == os.getpid():
        return f"pid {pid} is the remediator itself"
    if pid in _ancestors(policy.procfs):
        return f"pid {pid} is an ancestor of the remediator"
    return _kind_refusal(process, policy.procfs) or policy.may_signal(process, group)


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


def _kind_refusal(process: Process, procfs: Path) -> str | None:
    try:
        with ProcessFolder(procfs, process.pid) as folder:
            flags = int(folder.read("stat").rpartition(b")")[2].split()[6])
            namespaces = next(
                (line.split()[1:] for line in folder.read("status").splitlines() if line.startswith(b"NSpid:")), None
            )
    except GONE:
        return f"pid {process.pid} has just ended"
    if flags & _KERNEL_THREAD:
        return f"pid {process.pid} is a thread of the kernel"
    if namespaces is None or len(namespaces) != 1:
        return f"pid {process.pid} lives in another pid namespace"
    if _is_monitoring(process, procfs):
        return f"pid {process.pid} ({process.comm}) belongs to the monitoring itself"
    return None


def _is_monitoring(process: Process, procfs: Path) -> bool:
    """Say whether the process is Prometheus, Alertmanager or one of our own programs; the demo patient is not."""
    names = {process.comm, Path(process.exe).name, _program(process.pid, procfs)}
    if any(name in _MONITORING_PROGRAMS or name.startswith("prometheus-") for name in names):
        return True
    if not any(name.startswith("python") for name in names):
        return False
    kind, what = python_entry(process.argv)
    if kind == "module":
        ours = what.partition(".")[0] in _MONITORING_MODULES
        return ours and what != _PATIENT and not what.startswith(f"{_PATIENT}.")
    script = Path(what)
    own_folder = script.name == "__main__.py" and script.parent.name in _MONITORING_MODULES
    return kind == "script" and (own_folder or script.name in _MONITORING_PROGRAMS)


def _program(pid: int, procfs: Path) -> str:
    try:
        return (procfs / str(pid) / "exe").readlink().name
    except OSError:
        # another user's program; its name and arguments were asked as well
        return ""


def python_entry(argv: Sequence[str]) -> tuple[str, str]:
    """Given the arguments of a Python interpreter, return `module`, `script` or `none`, and which.

    The options are those of `python --help`: the first of -c, -m, - or a path ends them.
    """
    arguments = iter(argv[1:])
    for argument in arguments:
        if not argument.startswith("-"):
            return "script", argument
        if argument.startswith("--"):
            if argument == "--check-hash-based-pycs":
                next(arguments, None)
            continue
        for place, letter in enumerate(argument[1:], start=2):
            rest = argument[place:]
            if letter == "m":
                return "module", rest or next(arguments, "")
            if letter == "c":
                return "none", ""
            if letter in "WX":
                if not rest:
                    next(arguments, None)
                break
        else:
            if argument == "-":
                return "none", ""
    return "none", ""
