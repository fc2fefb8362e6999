"""The file that names work trees: its keys, strictly read, to values. Only this module of the room knows YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from exporter.workspace.model import LongFiles, Workspace
from exporter.written import check_names, check_time
from selfheal.common.documents import Duration, Section, read_as, read_yaml, told

EVERY = 300.0
DEADLINE = 60.0

# neither options nor paths out of the references
_BRANCH = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./+@-]{0,199}")


class _LongFiles(Section):
    lines: Annotated[int, Field(ge=1)]
    include: Annotated[list[str], Field(min_length=1)] = Field(default=["*"])
    exclude: list[str] = Field(default=[])


class _Workspace(Section):
    path: str
    every: Duration = EVERY
    deadline: Duration = DEADLINE
    upstream: str | None = None
    long_files: _LongFiles | None = None
    coverage: str | None = None

    @field_validator("path")
    @classmethod
    def _check_path(cls, value: str) -> str:
        if not value.startswith("/"):
            told(f"{value!r} is no absolute path", "write it from / on")
        return value

    _check_duration = field_validator("every", "deadline")(check_time)

    @field_validator("upstream")
    @classmethod
    def _check_upstream(cls, value: str | None) -> str | None:
        if value is not None and not _BRANCH.fullmatch(value):
            told(f"{value!r} is no branch", "write for example origin/main")
        return value


class _Config(Section):
    workspaces: Annotated[dict[str, _Workspace], Field(min_length=1, max_length=200)]

    _check_names = field_validator("workspaces")(check_names)


def read_workspaces(path: Path, root: Path) -> list[Workspace]:
    """Given the configuration file and where the host's root is, return the work trees.

    `coverage` is relative to the work tree. Raise ConfigError with everything that is wrong.
    """
    config = read_as(_Config, read_yaml(path), str(path))
    return [_workspace(name, found, root) for name, found in config.workspaces.items()]


def _workspace(name: str, found: _Workspace, root: Path) -> Workspace:
    tree = root / found.path.lstrip("/")
    wanted = found.long_files
    coverage = None
    if found.coverage is not None:
        below = root if found.coverage.startswith("/") else tree
        coverage = below / found.coverage.lstrip("/")
    return Workspace(
        name,
        tree,
        found.every,
        found.deadline,
        found.upstream,
        LongFiles(wanted.lines, tuple(wanted.include), tuple(wanted.exclude)) if wanted is not None else None,
        coverage,
    )
