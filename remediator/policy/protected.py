"""What is never touched whatever a policy lists: processes by what they are, folders by whose they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from remediator.policy.units import MONITORING_UNITS, SSHD_UNITS, is_never, units_of
from selfheal.common.processes import Process, list_pids
from selfheal.common.procfs import GONE, ProcessFolder, parse_argv

_KERNEL_THREAD = 0x0020_0000  # PF_KTHREAD of include/linux/sched.h, in field 9 of /proc/PID/stat
_UIDS = re.compile(rb"^Uid:((?:\s+\d+){4})", re.MULTILINE)
_NAMESPACES = re.compile(rb"^NSpid:(.*)$", re.MULTILINE)

_MONITORING_PROGRAMS = frozenset(
    {"prometheus", "alertmanager", "node_exporter", "process-exporter", "selfheal", "selfheal-exporter"}
)
_MONITORING_MODULES = frozenset({"exporter", "remediator", "selfheal"})
_PATIENT = "selfheal.stack.patient"
_SSHD_PROGRAMS = frozenset({"sshd", "sshd-session", "sshd-auth", "dropbear"})
_SUPERVISORS = frozenset(
    {"systemd", "supervisord", "runsvdir", "runsv", "s6-svscan", "s6-supervise"}
    | {"dbus-daemon", "dbus-broker", "dbus-broker-launch"}
)
_DATA_FLAGS = ("storage.tsdb.path", "storage.agent.path", "storage.path", "config.file")
_DEFAULT_DATA = "data"
"""Where Prometheus and Alertmanager keep their data when nobody says where, below their working folder."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the kernel says of a process besides what a `Process` holds."""

    is_kernel_thread: bool
    is_elsewhere: bool
    """It lives in another pid namespace, or the kernel does not tell."""
    uids: frozenset[int]
    """Real, effective, saved and file system uid; a program that changes its user has several."""


def read_standing(procfs: Path, pid: int) -> Standing | None:
    """Given a pid, return how its process stands, or None if it has ended. Raise OSError if it cannot be read."""
    try:
        with ProcessFolder(procfs, pid) as folder:
            flags = int(folder.read("stat").rpartition(b")")[2].split()[6])
            status = folder.read("status")
    except GONE:
        return None
    spaces, uids = _NAMESPACES.search(status), _UIDS.search(status)
    return Standing(
        is_kernel_thread=bool(flags & _KERNEL_THREAD),
        is_elsewhere=spaces is None or len(spaces[1].split()) != 1,
        uids=frozenset(map(int, uids[1].split())) if uids else frozenset(),
    )


def refusal_by_kind(process: Process, standing: Standing, procfs: Path) -> str | None:
    """Given a process as it is now, return why such a one is never signalled, or None."""
    who = f"pid {process.pid}"
    if process.pid == 1:
        return f"{who} is the system's first process"
    if standing.is_kernel_thread:
        return f"{who} is a thread of the kernel"
    if standing.is_elsewhere:
        return f"{who} lives in another pid namespace"
    names = _names(process, procfs)
    units = units_of(process.cgroups)
    if any(name in _SSHD_PROGRAMS for name in names) or any(is_never(unit, SSHD_UNITS) for unit in units):
        return f"{who} ({process.comm}) belongs to sshd, by which people come in"
    if any(name in _SUPERVISORS or name.startswith("systemd-") for name in names):
        return f"{who} ({process.comm}) supervises other processes"
    if _is_monitoring(process, names) or any(is_never(unit, MONITORING_UNITS) for unit in units):
        return f"{who} ({process.comm}) belongs to the monitoring itself"
    return None


def _names(process: Process, procfs: Path) -> set[str]:
    """Return what the process calls itself, what it was started as, and the program that it really runs."""
    # sshd and others write a title over their first argument: `sshd: alice [priv]`
    names = {process.comm, Path(process.exe).name, Path(process.exe.partition(":")[0]).name}
    try:
        names.add((procfs / str(process.pid) / "exe").readlink().name.removesuffix(" (deleted)"))
    except OSError:
        # another user's program; its name and arguments were asked as well
        pass
    if any(name.startswith("python") for name in names):
        kind, what = python_entry(process.argv)
        names |= {Path(what).name} if kind == "script" else set()
    return names


def _is_monitoring(process: Process, names: set[str]) -> bool:
    """Say whether the process is Prometheus, Alertmanager or one of our own programs; the demo patient is not."""
    if any(name in _MONITORING_PROGRAMS or name.startswith("prometheus-") for name in names):
        return True
    if not any(name.startswith("python") for name in names):
        return False
    kind, what = python_entry(process.argv)
    if kind == "module":
        ours = what.partition(".")[0] in _MONITORING_MODULES
        return ours and what != _PATIENT and not what.startswith(f"{_PATIENT}.")
    script = Path(what)
    return kind == "script" and script.name == "__main__.py" and script.parent.name in _MONITORING_MODULES


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


def overlap(root: Path, protected: Iterable[Path]) -> Path | None:
    """Given a folder and protected paths, return one that lies in, above or at the folder, links followed, or None."""
    real = Path(os.path.realpath(root))
    for path in protected:
        other = Path(os.path.realpath(path))
        if other.is_relative_to(real) or real.is_relative_to(other):
            return path
    return None


def monitoring_folders(procfs: Path) -> tuple[Path, ...]:
    """Return where every Prometheus and Alertmanager that runs here keeps its data and configuration.

    Raise OSError if `procfs` cannot be listed.
    """
    return tuple(dict.fromkeys(path for pid in list_pids(procfs) for path in _data_of(procfs, pid)))


def _data_of(procfs: Path, pid: int) -> Iterator[Path]:
    try:
        argv = parse_argv((procfs / str(pid) / "cmdline").read_bytes())
        if not argv or Path(argv[0]).name not in ("prometheus", "alertmanager", "prometheus-alertmanager"):
            return
        folder = (procfs / str(pid) / "cwd").readlink()
    except PermissionError:
        # another user's process tells its arguments and not where it stands
        folder = None
    except OSError:
        return
    named = list(_flag_values(argv[1:]))
    if not any(flag.startswith("storage.") for flag, _ in named):
        named.append(("storage.path", _DEFAULT_DATA))
    for _, value in named:
        if value.startswith("/"):
            yield Path(value)
        elif folder is not None:
            yield folder / value


def _flag_values(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and flag in _DATA_FLAGS:
            yield flag, value if equals else next(iter(arguments[place + 1 :]), "")
