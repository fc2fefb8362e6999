"""What this host permits: nothing listed is nothing permitted. The doors ask before they act.

The file is read in `policy_file.py`. Nothing here signals, starts, asks, or removes anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from remediator.errors import Refused
from remediator.policy.addresses import Address, is_loopback, read_address
from remediator.policy.journal import Journal
from remediator.policy.managed import Containers, Supervisor
from remediator.policy.memory import Memory
from remediator.policy.owned import LARGEST_FILE, read_own
from remediator.policy.protected import overlap
from remediator.policy.refusals import Door, Heard, Refusal, nobody_hears
from remediator.policy.scale import Scale
from remediator.policy.silences import Silences
from remediator.policy.units import is_never, name_problem
from remediator.policy.values import (
    DEFAULT_TIMEOUT,
    SAFE_METHODS,
    VERBS,
    Ansible,
    Command,
    NamedCommand,
    Programs,
    Root,
    Unit,
    Url,
)
from remediator.policy.work_trees import WorkTree
from selfheal.common.problems import ConfigError, Problem
from selfheal.common.processes import Grouping, Process, boot_id

__all__ = [
    "DEFAULT_TIMEOUT",
    "LARGEST_FILE",
    "NEVER_BELOW",
    "NEVER_ROOTS",
    "VERBS",
    "Command",
    "Door",
    "Policy",
    "Refusal",
    "Root",
    "overlap",
    "read_own",
]

NEVER_ROOTS = frozenset(
    {"/", "/bin", "/boot", "/etc", "/home", "/lib", "/lib64", "/opt", "/root", "/run", "/sbin", "/srv", "/usr", "/var"}
)
"""Folders that are never cleaned as a whole, whatever a policy lists."""
NEVER_BELOW = ("/dev", "/proc", "/sys")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be signalled, cleaned, started and asked on this host, and what must never be touched.

    With `problem` set everything is denied: somebody else could have written the file.
    """

    process_groups: tuple[str, ...] = ()
    roots: tuple[Root, ...] = ()
    commands: tuple[Command, ...] = ()
    """Of services."""
    named: tuple[NamedCommand, ...] = ()
    ansible: tuple[Ansible, ...] = ()
    units: tuple[Unit, ...] = ()
    scale: tuple[Scale, ...] = ()
    urls: tuple[Url, ...] = ()
    silences: Silences = field(default_factory=Silences)
    memory: Memory = field(default_factory=Memory)
    journal: Journal | None = None
    work_trees: tuple[WorkTree, ...] = ()
    containers: Containers = field(default_factory=Containers)
    supervisor: Supervisor = field(default_factory=Supervisor)
    users: frozenset[int] | None = None
    """Narrows `process_groups` to processes of these uids; None narrows nothing, an empty set leaves nothing."""
    identities: Path | None = None
    protected: tuple[Path, ...] = ()
    protected_addresses: frozenset[tuple[str, int]] = frozenset()
    """Host and port of Prometheus, the Alertmanagers and ourselves: asked perhaps, never changed."""
    programs: Programs = field(default_factory=Programs)
    grouping: Grouping = field(default_factory=Grouping)
    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    source: str = ""
    problem: Problem | None = None
    heard: Heard = field(default=nobody_hears, compare=False, repr=False)

    def refused(self, door: Door, detail: str) -> Refused:
        """Given a door and why it refuses, note that and return the error to raise."""
        self.heard(Refusal(door, detail))
        return Refused(detail)

    def may_group(self, group: str) -> str | None:
        """Given a group's name, return why none of its members may be touched, or None."""
        if self.problem is not None:
            return str(self.problem)
        if any(fnmatchcase(group, pattern) for pattern in self.process_groups):
            return None
        return f"process group {group!r} is not permitted; list it under process_groups in {self.source}"

    def may_signal(self, process: Process, group: str | None, uids: Iterable[int] | None = None) -> str | None:
        """Given a process as it is now, its group and all its uids, return why it may not be signalled, or None."""
        if group is None:
            return f"pid {process.pid} belongs to no process group; only members of permitted groups are signalled"
        users = frozenset((process.uid,) if uids is None else uids)
        return self.may_group(group) or self._user_refusal(process, users) or self._identity_refusal(process)

    def root(self, path: str) -> Root:
        """Given the rendered name of a root, return it. Raise Refused if the policy does not list exactly that path."""
        self._deny_if_broken(Door.FILES)
        for root in self.roots:
            if root.path == path:
                return root
        raise self.refused(Door.FILES, f"root {path!r} is not permitted; list it under roots in {self.source}")

    def command(self, name: str, verb: str | None = None) -> Command:
        """Given a service and perhaps a verb, return its commands. Raise Refused if the policy does not name it."""
        self._deny_if_broken(Door.SHELL)
        for command in self.commands:
            if command.name == name:
                if verb is not None and verb not in VERBS:
                    raise self.refused(Door.SHELL, f"{name} has no command {verb!r}; there are {', '.join(VERBS)}")
                return command
        raise self.refused(Door.SHELL, f"service {name!r} is not permitted; name it under commands in {self.source}")

    def named_command(self, name: str) -> NamedCommand:
        """Given the name of a command with `run:`, return it. Raise Refused if the policy does not name it."""
        self._deny_if_broken(Door.SHELL)
        for command in self.named:
            if command.name == name:
                return command
        raise self.refused(Door.SHELL, f"command {name!r} is not permitted; name it under commands in {self.source}")

    def ansible_playbook(self, name: str) -> Ansible:
        """Given the name of an Ansible playbook, return it. Raise Refused if the policy does not name it."""
        self._deny_if_broken(Door.SHELL)
        for entry in self.ansible:
            if entry.name == name:
                return entry
        raise self.refused(Door.SHELL, f"playbook {name!r} is not permitted; name it under ansible in {self.source}")

    def unit(self, unit: str, verb: str | None = None) -> None:
        """Given a unit and perhaps a verb, return if the policy permits that. Raise Refused if not."""
        self._deny_if_broken(Door.SHELL)
        problem = name_problem(unit)
        if problem is not None:
            raise self.refused(Door.SHELL, problem)
        verbs = {allowed for entry in self.units if entry.matches(unit) for allowed in entry.verbs}
        if not verbs:
            raise self.refused(Door.SHELL, f"unit {unit!r} is not permitted; list it under units in {self.source}")
        if verb is not None and verb not in verbs:
            what = f"{verb!r} is not permitted for unit {unit!r}; there are {', '.join(sorted(verbs))}"
            raise self.refused(Door.SHELL, what)
        if verb not in (None, "status") and is_never(unit):
            raise self.refused(Door.SHELL, f"unit {unit!r} keeps this host reachable or watched; it is never touched")

    def address(self, url: str, method: str | None = None) -> Address:
        """Given a URL and perhaps a method, return its parts. Raise Refused if the policy does not permit it."""
        self._deny_if_broken(Door.HTTP)
        try:
            address = read_address(url)
        except ValueError as error:
            raise self.refused(Door.HTTP, f"the URL {str(error).partition(';')[0]}") from error
        methods = {allowed for entry in self.urls if entry.address.covers(address) for allowed in entry.methods}
        place = Address(address.scheme, address.host, address.port, address.path)
        if not methods:
            raise self.refused(Door.HTTP, f"{place} is not permitted; list it under urls in {self.source}")
        if method is not None and method not in methods:
            what = f"{method} is not permitted at {place}; there are {', '.join(sorted(methods))}"
            raise self.refused(Door.HTTP, what)
        if method is not None and method not in SAFE_METHODS and self._is_monitoring(address):
            raise self.refused(Door.HTTP, f"{place} belongs to the monitoring itself; it may only be asked")
        return address

    def may_silence(self, seconds: float) -> str | None:
        """Given how long a silence is to last, return why none may be made, or None."""
        return str(self.problem) if self.problem is not None else self.silences.refusal(seconds, self.source)

    def authorization_file(self, address: Address, method: str) -> Path | None:
        """Given a permitted address and method, return the file with the header that belongs there, or None.

        Where several entries permit it, the one with the longest path says it.
        """
        found = [entry for entry in self.urls if method in entry.methods and entry.address.covers(address)]
        return max(found, key=lambda entry: len(entry.address.path)).authorization_file if found else None

    def _is_monitoring(self, address: Address) -> bool:
        return address.scheme != "tcp" and place_of(address.host, address.port) in self.protected_addresses

    def _deny_if_broken(self, door: Door) -> None:
        if self.problem is not None:
            raise self.refused(door, str(self.problem))

    def _user_refusal(self, process: Process, uids: frozenset[int]) -> str | None:
        if self.users is None or (uids and uids <= self.users):
            return None
        # a program that changes its user (setuid) runs as all of them at once
        runs_as = ", ".join(map(str, sorted(uids))) or "nobody known"
        return f"pid {process.pid} runs as uid {runs_as}; only those of users in {self.source} may be signalled"

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


def place_of(host: str, port: int) -> tuple[str, int]:
    """Given a host and port, return what tells whether two of them are the same place; loopback has many names."""
    return ("localhost" if is_loopback(host) else host, port)


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
