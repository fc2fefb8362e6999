"""What `git status` says of a work tree, in its second machine-readable format (git-status(1), porcelain v2, -z)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

STATUS = (
    "status",
    "--porcelain=v2",
    "-z",
    "--untracked-files=all",
    "--no-renames",
    "--ignore-submodules=all",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs from the last commit; `path` may hold what is no text, as surrogates."""

    path: str
    unmerged: bool = False
    is_repository: bool = False
    """A submodule, or a repository that lies inside of this one."""


def changes_of(output: bytes) -> tuple[Change, ...]:
    """Given the output of `git status` as `STATUS` asks for it, return the changes. Raise ValueError if it is none."""
    return tuple(_changes(output))


def _changes(output: bytes) -> Iterator[Change]:
    for line in output.split(b"\0"):
        kind, _, rest = line.partition(b" ")
        if kind in (b"", b"#", b"!"):
            continue
        if kind == b"?":
            yield Change(os.fsdecode(rest.rstrip(b"/")), is_repository=rest.endswith(b"/"))
        elif kind == b"1":
            fields = rest.split(b" ", 7)
            # either a submodule's own mark, or the mode of a gitlink on one of the three sides
            inner = fields[1].startswith(b"S") or b"160000" in fields[2:5]
            yield Change(os.fsdecode(fields[7]), is_repository=inner)
        elif kind == b"u":
            yield Change(os.fsdecode(rest.split(b" ", 9)[9]), unmerged=True)
        else:
            raise ValueError(f"git status told {line[:80]!r}, which is not understood")
