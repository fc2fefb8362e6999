"""What this host permits, read from `policy.yml`: nothing listed is nothing permitted. The doors ask before they act.

Nothing here signals, starts, or removes anything.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from remediator.errors import Refused
from selfheal.common.documents import Duration, Section, parse_yaml, read_as, told
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

    @classmethod
    def load(
        cls,
        path: Path,
        protected: Iterable[Path] = (),
        *,
        grouping: Grouping | None = None,
        procfs: Path = Path("/proc"),
    ) -> Policy:
        """Given a policy file, the paths never to touch and the known process groups, return the policy.

        A file that somebody else owns or may write gives a policy that denies everything, with its `problem`.
        Raise ConfigError with every fault of its content, each with its remedy.
        """
        text, problem = _read_own(path)
        written = parse_yaml(text, str(path))
        policy = read_as(_File, {} if written is None else written, str(path))
        identities = None if policy.identities is None else path.parent / policy.identities
        guarded = [path, *protected, *([identities] if identities else [])]
        return cls(
            process_groups=policy.process_groups,
            roots=tuple(Root(root, rule.older_than, rule.keep) for root, rule in policy.roots.items()),
            commands=tuple(
                Command(name, entry.start, entry.stop, entry.status, entry.timeout)
                for name, entry in policy.commands.items()
            ),
            identities=identities,
            protected=tuple(dict.fromkeys(guarded)),
            grouping=grouping or Grouping(),
            procfs=procfs,
            source=str(path),
            problem=problem,
        )

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


def _read_own(path: Path) -> tuple[str, Problem | None]:
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
    text, problem = _read_own(path)
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


def _text_list(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        told(f"must be a list of {what}", "write [...] around it and put numbers in quotes")
    return tuple(value)


def _group_patterns(value: Any) -> tuple[str, ...]:
    return _text_list(value, "group names, where * stands for anything")


def _argv(value: Any) -> tuple[str, ...]:
    argv = _text_list(value, "a program and its arguments")
    if not argv:
        told("is empty", "write the program and its arguments, for example [/usr/bin/systemctl, start, web]")
    if not argv[0].startswith("/"):
        told(f"starts the program {argv[0]!r}", "write its absolute path")
    if any("\0" in text for text in argv):
        told("holds a NUL character", "remove it")
    return argv


def _root_path(value: str) -> str:
    if not value.startswith("/") or os.path.normpath(value) != value or "\0" in value:
        told(
            f"{value!r} is not a plain absolute path", "write it from / on, without . and .. and without a / at the end"
        )
    if value in NEVER_ROOTS or any(Path(value).is_relative_to(top) and value != "/dev/shm" for top in NEVER_BELOW):
        told(f"{value!r} is a folder of the system", "name a folder below it that only your program fills")
    return value


def _service_name(value: str) -> str:
    if not value or len(value.encode()) > 256 or not value.isprintable():
        told("is not a plain name", "use at most 256 printable characters")
    return value


_Argv = Annotated[Any, AfterValidator(_argv)]


class _RootRule(Section):
    older_than: Duration
    keep: int = Field(default=0, ge=0)


class _Commands(Section):
    start: _Argv
    stop: _Argv
    status: _Argv
    timeout: Duration = DEFAULT_TIMEOUT


class _File(Section):
    process_groups: Annotated[Any, AfterValidator(_group_patterns)] = ()
    identities: str | None = None
    roots: dict[Annotated[str, AfterValidator(_root_path)], _RootRule] = Field(default_factory=dict)
    commands: dict[Annotated[str, AfterValidator(_service_name)], _Commands] = Field(default_factory=dict)
