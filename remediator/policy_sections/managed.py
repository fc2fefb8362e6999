"""The shapes of `containers:` and `supervisor:` in a policy file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from remediator.policy.addresses import is_loopback, read_address
from remediator.policy.managed import VERBS, Containers, Named, Supervisor, pattern_problem
from remediator.policy_sections.texts import address_of
from selfheal.common.documents import Section, told


def _socket(value: str) -> str:
    if not value.startswith("/") or os.path.normpath(value) != value or "\0" in value or len(value.encode()) > 100:
        told(f"{value[:120]!r} is not a plain absolute path of at most 100 bytes", "write for example /run/app.sock")
    return value


def _verbs(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or any(each not in VERBS for each in value):
        told("must be a list of verbs", f"there are {', '.join(VERBS)}")
    return tuple(value)


def _named_as(kind: str) -> AfterValidator:
    def check(value: str) -> str:
        problem = pattern_problem(value, kind)
        if problem is not None:
            told(problem, "write a name; only * is special, and never at its beginning")
        return value

    return AfterValidator(check)


def _url(value: str) -> str:
    address = address_of(value)
    if address.scheme != "http" or not is_loopback(address.host) or address.path != "/" or address.query:
        told(f"{value[:80]!r} is no place on this machine", "write http://127.0.0.1:PORT, or better a socket")
    return value


class _Rule(Section):
    verbs: Annotated[Any, AfterValidator(_verbs)]


class WrittenContainers(Section):
    """The engine's socket, and containers by name."""

    socket: Annotated[str, AfterValidator(_socket)]
    names: Annotated[dict[Annotated[str, _named_as("container")], _Rule], Field(min_length=1)]


class WrittenSupervisor(Section):
    """Where supervisord listens, and programs by name."""

    socket: Annotated[str, AfterValidator(_socket)] | None = None
    url: Annotated[str, AfterValidator(_url)] | None = None
    credentials_file: Annotated[str, Field(min_length=1)] | None = None
    programs: Annotated[dict[Annotated[str, _named_as("program")], _Rule], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_one_place(self) -> WrittenSupervisor:
        if (self.socket is None) == (self.url is None):
            told("needs its socket or its url, and not both", "write socket: as in supervisord's [unix_http_server]")
        return self


def read_containers(written: WrittenContainers | None) -> Containers:
    """Given the section as it was read, return its value."""
    return Containers() if written is None else Containers(written.socket, _entries(written.names))


def read_supervisor(written: WrittenSupervisor | None, folder: Path) -> Supervisor:
    """Given the section as it was read and the policy's folder, return its value."""
    if written is None:
        return Supervisor()
    url = None if written.url is None else read_address(written.url)
    credentials = "" if written.credentials_file is None else str(folder / written.credentials_file)
    return Supervisor(written.socket or "", url, credentials, _entries(written.programs))


def _entries(written: dict[str, _Rule]) -> tuple[Named, ...]:
    return tuple(Named(pattern, rule.verbs) for pattern, rule in written.items())
