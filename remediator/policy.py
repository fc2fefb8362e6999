"""What this host permits: nothing listed is nothing permitted. The doors ask before they act.

The file is read in `policy_file.py`. Nothing here signals, starts, or removes anything.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from remediator.errors import Refused
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.processes import Grouping, Process, boot_id

VERBS = ("start", "stop", "status")
LARGEST_FILE = 1 << 20
"""Bytes of a policy or identities file; both are far smaller."""
NEVER_ROOTS = frozenset(
    {"/", "/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/opt", "/root", "/run", "/sbin", "/srv", "/usr", "/var"}
)
"""Folders that are never cleaned as a whole, whatever a policy lists."""
NEVER_BELOW = ("/dev", "/proc", "/sys")
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Root:
    """One folder that may be cleaned: only files older than `older_than` seconds, never the newest `keep`."""

    path: str
    older_than: float
    keep: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """One service's commands: argument lists, each with an absolute program, and the longest that one may take."""

    name: str
    start: tuple[str, ...]
    stop: tuple[str, ...]
    status: tuple[str, ...]
    timeout: float = DEFAULT_TIMEOUT

    def argv(self, verb: str) -> tuple[str, ...]:
        """Given `start`, `stop` or `status`, return its argument list. Raise Refused for any other verb."""
        if verb not in VERBS:
            raise Refused(f"{self.name} has no command {verb!r}; there are {', '.join(VERBS)}")
        argv: tuple[str, ...] = getattr(self, verb)
        return argv


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be signalled, cleaned and started on this host, and what must never be touched.

    With `problem` set everything is denied: somebody else could have written the file.
    """

    process_groups: tuple[str, ...] = ()
    roots: tuple[Root, ...] = ()
    commands: tuple[Command, ...] = ()
    identities: Path | None = None
    protected: tuple[Path, ...] = ()
    grouping: Grouping = field(default_factory=Grouping)
    procfs: Path = Path("/proc")
    source: str = ""
    problem: Problem | None = None

    def may_group(self, group: str) -> str | None:
        """Given a group's name, return why none of its members may be touched, or None."""
        if self.problem is not None:
            return str(self.problem)
        if any(fnmatchcase(group, pattern) for pattern in self.process_groups):
            return None
        return f"process group {group!r} is not permitted; list it under process_groups in {self.source}"

    def may_signal(self, process: Process, group: str | None) -> str | None:
        """Given a process as it is now and its group, return why it may not be signalled, or None."""
        if group is None:
            return f"pid {process.pid} belongs to no process group; only members of permitted groups are signalled"
        return self.may_group(group) or self._identity_refusal(process)

    def root(self, path: str) -> Root:
        """Given the rendered name of a root, return it. Raise Refused if the policy does not list exactly that path."""
        self._deny_if_broken()
        for root in self.roots:
            if root.path == path:
                return root
        raise Refused(f"root {path!r} is not permitted; list it under roots in {self.source}")

    def command(self, name: str, verb: str | None = None) -> Command:
        """Given a service and perhaps a verb, return its commands. Raise Refused if the policy does not name it."""
        self._deny_if_broken()
        for command in self.commands:
            if command.name == name:
                if verb is not None:
                    command.argv(verb)
                return command
        raise Refused(f"service {name!r} is not permitted; name it under commands in {self.source}")

    def _deny_if_broken(self) -> None:
        if self.problem is not None:
            raise Refused(str(self.problem))

    def _identity_refusal(self, process: Process) -> str | None:
        """Ask the file of recorded identities, read anew each time, because its writer changes it as processes come."""
        if self.identities is None:
            return None
        try:
            if (process.pid, process.start_ticks) in _recorded(self.identities, boot_id(self.procfs)):
                return None
        except (OSError, ValueError) as error:
            return f"the identities cannot be asked, so nothing may be signalled: {error}"
        return (
            f"pid {process.pid} with start time {process.start_ticks} is not recorded in {self.identities}; "
            "only recorded processes may be signalled"
        )


def overlap(root: Path, protected: Iterable[Path]) -> Path | None:
    """Given a folder and protected paths, return one that lies in, above or at the folder, links followed, or None."""
    real = Path(os.path.realpath(root))
    for path in protected:
        other = Path(os.path.realpath(path))
        if other.is_relative_to(real) or real.is_relative_to(other):
            return path
    return None


def read_own(path: Path) -> tuple[str, Problem | None]:
    """Return the text of a file and what is wrong with its owner or mode. Raise ConfigError if it cannot be read."""
    remedy = "name a file that this user can read"
    try:
        with path.open("rb") as file:
            # asked of the open file: what is checked is what is read
            found = os.fstat(file.fileno())
            data = file.read(LARGEST_FILE + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read ({error.strerror})", remedy)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem(str(path), "", f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")]
        ) from error
    if len(data) > LARGEST_FILE:
        raise ConfigError([Problem(str(path), "", f"is larger than {LARGEST_FILE} bytes", "shorten it")])
    return text, _ownership_problem(path, found)


def _ownership_problem(path: Path, found: os.stat_result) -> Problem | None:
    if not stat.S_ISREG(found.st_mode):
        return Problem(str(path), "", "is no regular file, so everything is denied", "name a regular file")
    if found.st_uid not in (0, os.geteuid()):
        what = f"is owned by uid {found.st_uid}, so everything is denied"
        return Problem(str(path), "", what, f"give it to root or to uid {os.geteuid()}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        what = f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o}), so everything is denied"
        return Problem(str(path), "", what, f"run chmod 600 {path}")
    return None


def _recorded(path: Path, boot: str) -> frozenset[tuple[int, int]]:
    """Return the (pid, start ticks) that the file records for this boot.

    The file holds `{"boot_id": …, "processes": [{"pid": …, "start_ticks": …}, …]}`; other keys are its writer's own.
    Raise ConfigError or ValueError if it is missing, foreign, broken, or of another boot.
    """
    text, problem = read_own(path)
    if problem is not None:
        raise ConfigError([problem])
    try:
        document = json.loads(text)
        recorded_boot, entries = document["boot_id"], document["processes"]
        pairs = [(entry["pid"], entry["start_ticks"]) for entry in entries]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is broken ({error.__class__.__name__}); let its writer write it anew") from error
    if recorded_boot != boot:
        raise ValueError(f"{path} was written in another boot")
    if not all(type(pid) is int and type(ticks) is int for pid, ticks in pairs):
        raise ValueError(f"{path} is broken (a pid or start time is no whole number)")
    return frozenset(pairs)
