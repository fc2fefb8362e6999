"""The shape of a policy file: its keys, their types and defaults, and what is wrong with a value by itself."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from remediator.policy import NEVER_BELOW, NEVER_ROOTS
from remediator.policy.addresses import read_address
from remediator.policy.parameters import PLACEHOLDER, value_problem
from remediator.policy.units import KINDS, is_never, name_problem
from remediator.policy.values import (
    ANSIBLE_TIMEOUT,
    DEFAULT_TIMEOUT,
    METHODS,
    UNIT_VERBS,
    Parameter,
    ParameterType,
    Programs,
)
from selfheal.common.documents import Duration, Section, key_paths, kind_of, told

LONGEST_TIMEOUT = 3_600.0
"""Seconds that one command may take."""


def _text_list(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        told(f"must be a list of {what}", "write [...] around it and put numbers in quotes")
    return tuple(value)


def _group_patterns(value: Any) -> tuple[str, ...]:
    patterns = _text_list(value, "group names, where * stands for anything")
    for pattern in patterns:
        if any(sign in pattern for sign in "?[]") or not pattern.isprintable():
            told(f"{pattern[:80]!r} is no pattern", "only * stands for something else; ?, [ and ] have no place here")
    return patterns


def _argv(value: Any) -> tuple[str, ...]:
    argv = _text_list(value, "a program and its arguments")
    if not argv:
        told("is empty", "write the program and its arguments, for example [/usr/bin/systemctl, start, web]")
    if not argv[0].startswith("/"):
        told(f"starts the program {argv[0]!r}", "write its absolute path")
    if any("\0" in text for text in argv):
        told("holds a NUL character", "remove it")
    return argv


def _absolute(value: str) -> str:
    if not value.startswith("/") or os.path.normpath(value) != value or "\0" in value:
        remedy = "write it from / on, without . and .. and without a / at the end"
        told(f"{value!r} is not a plain absolute path", remedy)
    return value


def _root_path(value: str) -> str:
    _absolute(value)
    if value in NEVER_ROOTS or any(Path(value).is_relative_to(top) and value != "/dev/shm" for top in NEVER_BELOW):
        told(f"{value!r} is a folder of the system", "name a folder below it that only your program fills")
    return value


def _plain_name(value: str) -> str:
    if not value or len(value.encode()) > 256 or not value.isprintable():
        told("is not a plain name", "use at most 256 printable characters")
    return value


def _unit_pattern(value: str) -> str:
    if any(sign in value for sign in "?[]") or name_problem(value.replace("*", "x")) is not None:
        told(f"{value[:80]!r} is no unit or pattern of units", f"end it with {', '.join(KINDS)}; only * is special")
    if "*" in value and not value.partition("*")[0]:
        told(f"{value[:80]!r} begins with *", "write at least how the units' names begin")
    return value


def _url(value: str) -> str:
    try:
        address = read_address(value)
    except ValueError as error:
        what, _, remedy = str(error).partition("; ")
        told(what, remedy)
    if address.query:
        told("must end with its path", "leave out what follows ?")
    return value


def _one_of(known: Sequence[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            told(f"{value[:80]!r} is no {what}", f"there are {', '.join(known)}")
        return value

    return AfterValidator(check)


def _some_of(known: Sequence[str], what: str) -> AfterValidator:
    def check(value: Any) -> tuple[str, ...]:
        found = _text_list(value, f"{what}s: {', '.join(known)}")
        for each in found:
            if each not in known:
                told(f"{each[:80]!r} is no {what}", f"there are {', '.join(known)}")
        return found

    return AfterValidator(check)


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


def _parameter_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", value):
        told(f"{value[:80]!r} is no name of a parameter", "use small letters, digits and _")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        told(f"{value[:80]!r} is no regular expression ({error})", "mend it")
    return value


def _timeout(value: float) -> float:
    if not 0 < value <= LONGEST_TIMEOUT:
        told("must be longer than 0s and at most 1h", "write for example 30s")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or value < 0:
        told("must be a number from 0 up", "write it without quotes")
    return float(value)


def _default(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        told(f"must be text or a number, not {kind_of(value)}", "write the value itself")
    return str(value)


def _inventory(value: str) -> str:
    # `host,` is Ansible's way to name hosts without a file
    if value.startswith("-") or not (value.startswith("/") or value.endswith(",")):
        told(f"{value[:80]!r} is no inventory", "write an absolute path, or hosts with a comma: localhost,")
    return value


def _limit(value: str) -> str:
    if not value or value.startswith(("-", "@")) or not value.isprintable():
        told(f"{value[:80]!r} is no limit", "write hosts or groups of the inventory")
    return value


_Argv = Annotated[Any, AfterValidator(_argv)]
_Path = Annotated[str, AfterValidator(_absolute)]
_Timeout = Annotated[Duration, AfterValidator(_timeout)]
_Name = Annotated[str, AfterValidator(_plain_name)]


class WrittenParameter(Section):
    """One value that a command takes."""

    type: Annotated[str, _one_of(tuple(ParameterType), "type")]
    of: list[str] = Field(default_factory=list)
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    at_least: Annotated[Any, AfterValidator(_number)] = 0.0
    at_most: Annotated[Any, AfterValidator(_number)] | None = None
    default: Annotated[Any, AfterValidator(_default)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> WrittenParameter:
        if (self.type == ParameterType.CHOICE) != bool(self.of):
            told("of and the type choice belong together", "list the choices under of, or remove it")
        if self.pattern is not None and self.type != ParameterType.TEXT:
            told("pattern belongs to the type text", "remove it")
        if self.default is not None:
            probe = Parameter("", ParameterType(self.type), tuple(self.of), self.pattern, self.at_least, self.at_most)
            problem = value_problem(probe, self.default)
            if problem is not None:
                told(f"its own default {problem}", "mend one of them")
        return self


_Parameters = dict[Annotated[str, AfterValidator(_parameter_name)], WrittenParameter]


class WrittenCommand(Section):
    """A service's three commands, or one command of any kind."""

    start: _Argv | None = None
    stop: _Argv | None = None
    status: _Argv | None = None
    run: _Argv | None = None
    parameters: _Parameters = Field(default_factory=dict)
    stdin: Annotated[str, _one_of(("none", "alert"), "input")] = "none"
    read_only: bool = False
    timeout: _Timeout = DEFAULT_TIMEOUT

    @model_validator(mode="after")
    def _is_one_kind(self) -> WrittenCommand:
        service = [verb for verb in ("start", "stop", "status") if getattr(self, verb) is not None]
        if self.run is not None and service:
            told("holds run and a service's commands", "give each an entry of its own")
        if self.run is None and len(service) < 3:
            told("is neither a service nor a command", "write start, stop and status, or run")
        if self.run is None and (self.parameters or self.stdin != "none" or self.read_only):
            told("parameters, stdin and read_only belong to run", "remove them")
        _check_placeholders(self.run or (), self.parameters)
        return self


def _check_placeholders(argv: tuple[str, ...], parameters: dict[str, WrittenParameter]) -> None:
    used = [found[1] for found in map(PLACEHOLDER.fullmatch, argv) if found]
    if unknown := [name for name in used if name not in parameters]:
        told(f"run uses {{{unknown[0]}}}, which is no parameter", "add it under parameters")
    for name in parameters:
        if any(f"{{{name}}}" in element and element != f"{{{name}}}" for element in argv):
            told(f"{{{name}}} stands inside of an argument", "make it an argument of its own")
        if argv and name not in used:
            told(f"run never uses the parameter {name}", f"write {{{name}}} where it belongs, or remove it")


class _RootRule(Section):
    older_than: Duration
    keep: int = Field(default=0, ge=0)


class _UnitRule(Section):
    verbs: Annotated[Any, _some_of(UNIT_VERBS, "verb")]


class _UrlRule(Section):
    methods: Annotated[Any, _some_of(METHODS, "method")] = ("GET", "HEAD")


class _Ansible(Section):
    playbook: _Path
    inventory: Annotated[str, AfterValidator(_inventory)]
    limit: Annotated[str, AfterValidator(_limit)] | None = None
    parameters: _Parameters = Field(default_factory=dict)
    timeout: _Timeout = ANSIBLE_TIMEOUT


class _Programs(Section):
    systemctl: _Path = Programs().systemctl
    ansible_playbook: _Path = Programs().ansible_playbook


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
    commands: dict[_Name, WrittenCommand] = Field(default_factory=dict)
    units: Annotated[
        dict[Annotated[str, AfterValidator(_unit_pattern)], _UnitRule], AfterValidator(_units_are_touchable)
    ] = Field(default_factory=dict)
    urls: dict[Annotated[str, AfterValidator(_url)], _UrlRule] = Field(default_factory=dict)
    ansible: dict[_Name, _Ansible] = Field(default_factory=dict)
    programs: _Programs = _Programs()


KEYS = key_paths(PolicyFile)
"""Every key that a policy may hold."""
