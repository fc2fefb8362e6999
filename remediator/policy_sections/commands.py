"""The shape of `commands:` in a policy file, and of the parameters that commands and playbooks take."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from remediator.policy.parameters import PLACEHOLDER, value_problem
from remediator.policy.values import DEFAULT_TIMEOUT, Command, NamedCommand, Parameter, ParameterType
from remediator.policy_sections.texts import Argv, Timeout, one_of
from selfheal.common.documents import Section, kind_of, told

_READERS = re.compile(r"([bdakz]|fi)?sh|busybox|(python|perl|ruby|node|php|lua)[0-9.]*")
"""Programs that read one of their arguments as a program."""
_PROGRAM = re.compile(r"-[A-Za-z]*[ce]")
"""The options by which they do."""
_LISTED = frozenset({ParameterType.NUMBER, ParameterType.CHOICE})
"""Types of values that hold nothing but what the policy lists."""


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


def _number(value: Any) -> float:
    if type(value) not in (int, float) or value < 0:
        told("must be a number from 0 up", "write it without quotes")
    return float(value)


def _default(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        told(f"must be text or a number, not {kind_of(value)}", "write the value itself")
    return str(value)


class WrittenParameter(Section):
    """One value that a command takes."""

    type: Annotated[str, one_of(tuple(ParameterType), "type")]
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


WrittenParameters = dict[Annotated[str, AfterValidator(_parameter_name)], WrittenParameter]


class WrittenCommand(Section):
    """A service's three commands, or one command of any kind."""

    start: Argv | None = None
    stop: Argv | None = None
    status: Argv | None = None
    run: Argv | None = None
    parameters: WrittenParameters = Field(default_factory=dict)
    stdin: Annotated[str, one_of(("none", "alert", "plan"), "input")] = "none"
    read_only: bool = False
    idempotent: bool = False
    check: Argv | None = None
    timeout: Timeout = DEFAULT_TIMEOUT

    @model_validator(mode="after")
    def _is_one_kind(self) -> WrittenCommand:
        service = [verb for verb in ("start", "stop", "status") if getattr(self, verb) is not None]
        if self.run is not None and service:
            told("holds run and a service's commands", "give each an entry of its own")
        if self.run is None and len(service) < 3:
            told("is neither a service nor a command", "write start, stop and status, or run")
        of_run = (self.parameters, self.stdin != "none", self.read_only, self.idempotent, self.check)
        if self.run is None and any(of_run):
            told("parameters, stdin, read_only, idempotent and check belong to run", "remove them")
        if self.check is not None and self.read_only:
            told("check is for what changes something, and it is marked read_only", "remove one of the two")
        _check_placeholders(self.run or (), self.parameters)
        _check_placeholders(self.check or (), self.parameters, "check")
        return self


def _check_placeholders(argv: tuple[str, ...], parameters: dict[str, WrittenParameter], key: str = "run") -> None:
    used = [found[1] for found in map(PLACEHOLDER.fullmatch, argv) if found]
    if unknown := [name for name in used if name not in parameters]:
        told(f"{key} uses {{{unknown[0]}}}, which is no parameter", "add it under parameters")
    for name in parameters:
        if any(f"{{{name}}}" in element and element != f"{{{name}}}" for element in argv):
            told(f"{{{name}}} stands inside of an argument", "make it an argument of its own")
        if name in used and parameters[name].type not in _LISTED and (reader := _reader_of(name, argv)):
            told(f"{key} has {reader} read {{{name}}} as a program", f"write it into a file, and give that {{{name}}}")
        if argv and name not in used and key == "run":
            told(f"run never uses the parameter {name}", f"write {{{name}}} where it belongs, or remove it")


def _reader_of(name: str, argv: tuple[str, ...]) -> str | None:
    """Return the program of an argv that would read a parameter's value as a program itself, as `sh -c` does."""
    at = argv.index(f"{{{name}}}")
    readers = [each for each in argv[:at] if _READERS.fullmatch(each.rpartition("/")[2])]
    return readers[-1] if readers and _PROGRAM.fullmatch(argv[at - 1]) else None


def read_services(written: dict[str, WrittenCommand]) -> tuple[Command, ...]:
    """Given the section as it was read, return the commands of services."""
    return tuple(
        Command(name, entry.start or (), entry.stop or (), entry.status or (), entry.timeout)
        for name, entry in written.items()
        if not entry.run
    )


def read_named(written: dict[str, WrittenCommand]) -> tuple[NamedCommand, ...]:
    """Given the section as it was read, return the commands with `run:`."""
    return tuple(
        NamedCommand(
            name,
            entry.run,
            read_parameters(entry.parameters),
            entry.timeout,
            entry.stdin,
            entry.read_only,
            entry.idempotent,
            entry.check or (),
        )
        for name, entry in written.items()
        if entry.run
    )


def read_parameters(written: dict[str, WrittenParameter]) -> tuple[Parameter, ...]:
    """Given parameters as they were read, return their values."""
    return tuple(
        Parameter(
            name, ParameterType(each.type), tuple(each.of), each.pattern, each.at_least, each.at_most, each.default
        )
        for name, each in written.items()
    )
