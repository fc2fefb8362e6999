"""What a policy lists: frozen values, one kind per section of the file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from remediator.errors import Refused
from remediator.policy.addresses import Address

VERBS = ("start", "stop", "status")
UNIT_VERBS = ("status", "start", "stop", "restart", "reload", "reset-failed", "limit", "reclaim")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that ask and change nothing (RFC 9110, 9.2.1)."""
REPEATABLE_METHODS = SAFE_METHODS | {"PUT", "DELETE"}
"""Methods of which several do no more than one (RFC 9110, 9.2.2)."""
DEFAULT_TIMEOUT = 30.0
ANSIBLE_TIMEOUT = 600.0
LONGEST_VALUE = 256
"""Bytes of one parameter's value."""


@dataclass(frozen=True, slots=True)
class Root:
    """One folder that may be cleaned: only files older than `older_than` seconds, never the newest `keep`."""

    path: str
    older_than: float
    keep: int = 0
    floor: int = 0
    """Bytes of files below it that are always left."""


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


class ParameterType(StrEnum):
    """What the value of a parameter may be."""

    TEXT = "text"  # plain text without control characters and without a leading -
    NUMBER = "number"  # from 0 up, in decimal digits
    CHOICE = "choice"  # one of a list, to the letter
    GROUP = "group"  # a process group that the policy permits
    ROOT = "root"  # a root that the policy lists


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a named command takes from the playbook."""

    name: str
    type: ParameterType
    of: tuple[str, ...] = ()
    """The choices."""
    pattern: str | None = None
    """A regular expression that the whole text must match."""
    at_least: float = 0.0
    at_most: float | None = None
    default: str | None = None
    """What is taken where the playbook names none; without it the parameter is required."""


@dataclass(frozen=True, slots=True)
class NamedCommand:
    """One program that may be run by name; `{parameter}` as a whole element of `run` stands for its value."""

    name: str
    run: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    stdin: str = "none"
    """`alert` gives it the alert as JSON, `plan` alert, plan and the remediation's number, `none` nothing."""
    read_only: bool = False
    """The operator's word that it changes nothing: only then a probe may run it."""
    idempotent: bool = False
    """The operator's word that running it twice does no more than once: what was ended half way has merely failed."""
    check: tuple[str, ...] = ()
    """What is run instead in a dry run, with the same parameters: the operator's word that it changes nothing."""


@dataclass(frozen=True, slots=True)
class Ansible:
    """One playbook of Ansible that may be run by name; parameters become its extra variables."""

    name: str
    playbook: str
    inventory: str
    limit: str | None = None
    parameters: tuple[Parameter, ...] = ()
    timeout: float = ANSIBLE_TIMEOUT
    idempotent: bool = False
    """As of a command."""
    check_mode: bool = True
    """Whether a dry run asks Ansible itself what it would change."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Units of systemd by name or pattern, and what may be done to them."""

    pattern: str
    verbs: tuple[str, ...]

    def matches(self, unit: str) -> bool:
        """Say whether this entry is about the unit."""
        return fnmatchcase(unit, self.pattern)


@dataclass(frozen=True, slots=True)
class Url:
    """One address with everything below its path, and the methods that may be used there."""

    address: Address
    methods: tuple[str, ...]
    authorization_file: Path | None = None
    """Private file with the Authorization header that is sent there, and nowhere else."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs stand that sections other than `commands` start."""

    systemctl: str = "/usr/bin/systemctl"
    ansible_playbook: str = "/usr/bin/ansible-playbook"
    git: str = "/usr/bin/git"
    journalctl: str = "/usr/bin/journalctl"
