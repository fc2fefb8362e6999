"""The shape of a policy file: its keys, their types and defaults, and what is wrong with a value by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from remediator.policy import NEVER_BELOW, NEVER_ROOTS
from remediator.policy.units import KINDS, is_never, name_problem
from remediator.policy.values import UNIT_VERBS, Programs
from remediator.policy_sections.amounts import Amount
from remediator.policy_sections.ansible import WrittenAnsible
from remediator.policy_sections.commands import WrittenCommand
from remediator.policy_sections.journal import WrittenJournal
from remediator.policy_sections.managed import WrittenContainers, WrittenSupervisor
from remediator.policy_sections.memory import WrittenMemory
from remediator.policy_sections.scale import WrittenScale
from remediator.policy_sections.silences import WrittenSilences
from remediator.policy_sections.texts import Name, PlainPath, absolute, some_of, text_list
from remediator.policy_sections.urls import WrittenUrls
from remediator.policy_sections.work_trees import WrittenWorkTrees
from selfheal.common.documents import Duration, Section, key_paths, kind_of, told


def _group_patterns(value: Any) -> tuple[str, ...]:
    patterns = text_list(value, "group names, where * stands for anything")
    for pattern in patterns:
        if any(sign in pattern for sign in "?[]") or not pattern.isprintable():
            told(f"{pattern[:80]!r} is no pattern", "only * stands for something else; ?, [ and ] have no place here")
    return patterns


def _root_path(value: str) -> str:
    absolute(value)
    # a folder of files in memory, but not the file system itself
    in_memory = value.startswith("/dev/shm/")
    if value in NEVER_ROOTS or (not in_memory and any(Path(value).is_relative_to(top) for top in NEVER_BELOW)):
        told(f"{value!r} is a folder of the system", "name a folder below it that only your program fills")
    return value


def _unit_pattern(value: str) -> str:
    if any(sign in value for sign in "?[]") or name_problem(value.replace("*", "x")) is not None:
        told(f"{value[:80]!r} is no unit or pattern of units", f"end it with {', '.join(KINDS)}; only * is special")
    if "*" in value and not value.partition("*")[0]:
        told(f"{value[:80]!r} begins with *", "write at least how the units' names begin")
    return value


def _user_ids(value: Any) -> frozenset[int]:
    if not isinstance(value, list):
        told(f"must be a list of users, not {kind_of(value)}", "write [...] around it")
    return frozenset(map(_user_id, value))


def _user_id(value: Any) -> int:
    if type(value) is int and value >= 0:
        return value
    if not isinstance(value, str):
        told("must be a list of users", "write names, or numbers from 0 up")
    # here and not above: no other platform has it, and most policies name no user
    import pwd

    try:
        return pwd.getpwnam(value).pw_uid
    except (KeyError, ValueError):
        told(f"{value[:80]!r} is no user of this machine", "mend the name, or write the uid")


class _RootRule(Section):
    older_than: Duration
    keep: int = Field(default=0, ge=0)
    floor: Amount = 0


class _UnitRule(Section):
    verbs: Annotated[Any, some_of(UNIT_VERBS, "verb")]


class _Programs(Section):
    systemctl: PlainPath = Programs().systemctl
    ansible_playbook: PlainPath = Programs().ansible_playbook
    git: PlainPath = Programs().git
    journalctl: PlainPath = Programs().journalctl


def _units_are_touchable(units: dict[str, _UnitRule]) -> dict[str, _UnitRule]:
    for pattern, rule in units.items():
        if "*" not in pattern and is_never(pattern) and set(rule.verbs) != {"status"}:
            told(f"{pattern} keeps this host reachable or watched", "only its status may be asked: verbs: [status]")
    return units


class PolicyFile(Section):
    """The whole file."""

    process_groups: Annotated[Any, AfterValidator(_group_patterns)] = ()
    users: Annotated[Any, BeforeValidator(_user_ids)] = None
    identities: str | None = None
    roots: dict[Annotated[str, AfterValidator(_root_path)], _RootRule] = Field(default_factory=dict)
    commands: dict[Name, WrittenCommand] = Field(default_factory=dict)
    units: Annotated[
        dict[Annotated[str, AfterValidator(_unit_pattern)], _UnitRule], AfterValidator(_units_are_touchable)
    ] = Field(default_factory=dict)
    scale: WrittenScale = Field(default_factory=dict)
    urls: WrittenUrls = Field(default_factory=dict)
    silences: WrittenSilences | None = None
    memory: WrittenMemory = WrittenMemory()
    journal: WrittenJournal | None = None
    ansible: WrittenAnsible = Field(default_factory=dict)
    work_trees: WrittenWorkTrees = Field(default_factory=dict)
    containers: WrittenContainers | None = None
    supervisor: WrittenSupervisor | None = None
    programs: _Programs = _Programs()


KEYS = key_paths(PolicyFile)
"""Every key that a policy may hold."""
