"""What a supervisor or a container engine runs here and may be told to restart, start or stop, by name or pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.policy.addresses import Address
from remediator.policy.protected import read_standing, refusal_by_kind
from remediator.policy.refusals import Door
from selfheal.common.processes import list_pids, read_process
from selfheal.common.procfs import GONE, parse_cgroups

if TYPE_CHECKING:
    from remediator.policy import Policy

VERBS = ("status", "restart", "start", "stop")
_KEPT = "prometheus|alertmanager|node[-_]exporter|process[-_]exporter|selfheal|sshd"
NEVER = re.compile(rf"(?:^|:)(?:{_KEPT})|(?<![a-z0-9])(?:{_KEPT})(?![a-z])")
"""Names that are never touched, whatever a policy lists: the monitoring itself and the way in.

They begin so, or hold it as a word of their own, as Compose writes it: `stack-prometheus-1`, `monitoring_sshd_1`.
"""

_MERE_ID = re.compile(r"sha256|[0-9a-f]{12,64}")
_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}", re.ASCII)
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. @+-]{0,99}(:[A-Za-z0-9_][A-Za-z0-9_. @+-]{0,99})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Named:
    """Things of one kind by name or pattern, and what may be done to them."""

    pattern: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Containers:
    """The container engine of this host and the containers that may be touched."""

    socket: str = ""
    """Where the engine listens: Docker's own or Podman's compatible API."""
    names: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The supervisord of this host and the programs that may be touched."""

    socket: str = ""
    url: Address | None = None
    """Where it listens on loopback, if on no socket."""
    credentials: str = ""
    """A private file with `user:password`; empty if it asks for none."""
    programs: tuple[Named, ...] = ()


def permitted_container(policy: Policy, name: str, verb: str | None = None) -> Containers:
    """Given a container's name and perhaps a verb, return the engine. Raise Refused if that is not permitted."""
    problem = None if _CONTAINER.fullmatch(name) else f"{name[:80]!r} is no name of a container"
    _ask(policy, ("container", "containers", policy.containers.names), name, verb, problem)
    return policy.containers


def permitted_program(policy: Policy, name: str, verb: str | None = None) -> Supervisor:
    """Given a program's name and perhaps a verb, return its supervisor. Raise Refused if the policy does not permit it.

    The name is `group:program`, or `program` alone where its group has the same name.
    """
    problem = None if _PROGRAM.fullmatch(name) else f"{name[:80]!r} is no name of a supervised program"
    _ask(policy, ("program", "supervisor", policy.supervisor.programs), name, verb, problem)
    return policy.supervisor


def is_never(name: str) -> bool:
    """Say whether a name of a container, program or image is one that is never touched."""
    return NEVER.search(name.lower()) is not None


def image_name(image: str) -> str:
    """Given an image as an engine tells it, return its name without registry, tag and digest; empty for a mere id."""
    name = image.partition("@")[0]
    registry, slash, rest = name.partition("/")
    if slash and (registry == "localhost" or "." in registry or ":" in registry):
        name = rest
    head, slash, last = name.rpartition("/")
    name = f"{head}{slash}{last.partition(':')[0]}"
    return "" if _MERE_ID.fullmatch(name) else name


def ourselves_and_above(procfs: Path) -> frozenset[int]:
    """Return our own pid and those of all our ancestors."""
    found: set[int] = set()
    pid = int((procfs / "self").readlink().name)
    while pid > 0 and pid not in found:
        found.add(pid)
        process = read_process(procfs, pid)
        pid = process.ppid if process is not None else 0
    return frozenset(found)


def pids_within(container: str, procfs: Path) -> frozenset[int]:
    """Given a container's full id, return the pids of all processes that have it in the path of a control group.

    Raise OSError if `procfs` cannot be read.
    """
    found = set()
    for pid in list_pids(procfs):
        with suppress(*GONE):
            paths = parse_cgroups((procfs / str(pid) / "cgroup").read_bytes())
            found |= {pid} if any(container in path for path in paths) else set()
    return frozenset(found)


def pids_below(top: int, procfs: Path) -> frozenset[int]:
    """Given a pid, return it and the pids of all processes below it or in its process group.

    Raise OSError if `procfs` cannot be read.
    """
    below: dict[int, set[int]] = {}
    found = {top}
    for pid in list_pids(procfs):
        with suppress(*GONE):
            # proc(5): after the name in parentheses stand the state, the parent and the process group
            fields = (procfs / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
            below.setdefault(int(fields[1]), set()).add(pid)
            found |= {pid} if int(fields[2]) == top else set()
    unseen = set(found)
    while unseen:
        unseen = set().union(*(below.get(pid, set()) for pid in unseen)) - found
        found |= unseen
    return frozenset(found)


def refusal_within(pids: Iterable[int], procfs: Path, main: int = 0) -> str | None:
    """Given processes that a start or stop would end, return why one of them is never touched, or None.

    Only `main` must live in our pid namespace. Raise OSError if `procfs` cannot be read.
    """
    for pid in sorted(pids):
        process, standing = read_process(procfs, pid), read_standing(procfs, pid)
        if process is None or standing is None:
            continue
        elsewhere = standing.is_elsewhere and pid == main
        refusal = refusal_by_kind(process, replace(standing, is_elsewhere=elsewhere), procfs)
        if refusal is not None:
            return refusal
    return None


def pattern_problem(pattern: str, kind: str) -> str | None:
    """Given a pattern of a `container` or `program`, return what is wrong with it, or None."""
    form = _CONTAINER if kind == "container" else _PROGRAM
    if any(sign in pattern for sign in "?[]") or not form.fullmatch(pattern.replace("*", "x")):
        return f"{pattern[:80]!r} is no {kind} or pattern of them"
    if pattern.startswith("*"):
        return f"{pattern[:80]!r} begins with *"
    return None


def _fits(name: str, pattern: str) -> bool:
    # a star stands for anything in a group's or a program's name, never for the colon between
    return name.count(":") == pattern.count(":") and fnmatchcase(name, pattern)


def _ask(
    policy: Policy, section: tuple[str, str, tuple[Named, ...]], name: str, verb: str | None, problem: str | None
) -> None:
    kind, key, entries = section
    if policy.problem is not None:
        problem = str(policy.problem)
    verbs = {allowed for entry in entries if _fits(name, entry.pattern) for allowed in entry.verbs}
    if problem is None and not verbs:
        problem = f"{kind} {name!r} is not permitted; list it under {key} in {policy.source}"
    if problem is None and verb is not None and verb not in verbs:
        problem = f"{verb!r} is not permitted for {kind} {name!r}; there are {', '.join(sorted(verbs))}"
    if problem is None and verb not in (None, "status") and is_never(name):
        problem = f"{kind} {name!r} belongs to the monitoring itself, or is the way in; it is never touched"
    if problem is not None:
        raise policy.refused(Door.HTTP, problem)
