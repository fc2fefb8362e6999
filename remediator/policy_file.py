"""`policy.yml`, read strictly into a `Policy`: every fault at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from remediator.policy import DEFAULT_TIMEOUT, NEVER_BELOW, NEVER_ROOTS, Command, Policy, Root, read_own
from selfheal.common.documents import Duration, Section, parse_yaml, read_as, told
from selfheal.common.processes import Grouping


def load_policy(
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
    text, problem = read_own(path)
    written = parse_yaml(text, str(path))
    policy = read_as(_File, {} if written is None else written, str(path))
    identities = None if policy.identities is None else path.parent / policy.identities
    guarded = [path, *protected, *([identities] if identities else [])]
    return Policy(
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
