"""What is asked of a work tree, and what was found; values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class LongFiles:
    """Which tracked files are measured, by patterns, and how many lines are too many."""

    lines: int
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workspace:
    """One work tree, how often it is looked at, and how long a look may take."""

    name: str
    path: Path
    every: float
    deadline: float
    upstream: str | None = None
    """A branch such as `origin/main`; None for the one that the present branch follows."""
    long_files: LongFiles | None = None
    coverage: Path | None = None


class Upstream(NamedTuple):
    """How the present commit stands to the upstream branch, as far as that was last fetched."""

    ahead: int
    behind: int
    conflicts: int
    """Files that could not be merged by themselves."""
    fetched: float | None
    """When something was last fetched, in seconds since the epoch; None if that is not known."""


class Tree(NamedTuple):
    """What git says of a work tree."""

    changed: int
    untracked: int
    unmerged: int
    oldest_change: float | None
    """The earliest last modification among the changed and untracked files, in seconds since the epoch."""
    stashes: int
    upstream: Upstream | None
    unsaved: int = 0
    """Changed and untracked files, each by itself, whose content Selfheal keeps nowhere."""
    oldest_unsaved: float | None = None
    """The earliest last modification among these."""


class Lines(NamedTuple):
    """How long the measured files are."""

    files: int
    long: int
    longest: int


class Coverage(NamedTuple):
    """How much of the code the tests ran."""

    lines: int
    covered_lines: int
    branches: int
    covered_branches: int
