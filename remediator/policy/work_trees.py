"""Work trees of git that may be saved: which files are safe to commit, which never, and where the commits go."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from remediator.policy.refusals import Door

if TYPE_CHECKING:
    from remediator.policy import Policy

LARGEST_FILE = 1 << 20
BRANCH = "selfheal/safe"
BRANCH_FOLDER = "selfheal/"
"""Every branch that we commit to lies below this, so it is never one of a person's."""
AUTHOR = "Selfheal <selfheal@localhost>"
CHECKPOINTS = "refs/selfheal/checkpoints/"

_WILD = re.compile(r"(\*\*/|/\*\*$|\*\*|\*)")
_MEANING = {"**/": "(?:[^/]+/)*", "/**": "/.+", "**": ".*", "*": "[^/]*"}


@dataclass(frozen=True, slots=True)
class WorkTree:
    """One work tree by its path, and what may be committed of it."""

    path: str
    name: str | None = None
    """What the exporter calls it, so that an alert can name it."""
    safe: tuple[str, ...] = ()
    """Patterns of what `git.commit_safe` may commit; empty permits it nothing."""
    never: tuple[str, ...] = ()
    """Patterns of what is left out of every commit, whatever else is said; the letters' case does not matter."""
    largest_file: int = LARGEST_FILE
    """Bytes; a longer file is left out of every commit."""
    branch: str = BRANCH
    author: str = AUTHOR
    checkpoints: int = 0
    """How many checkpoints are kept; 0 permits none."""


def permitted_work_tree(policy: Policy, path: str) -> WorkTree:
    """Given a work tree's path, or its name, return it. Raise Refused if the policy lists it under neither."""
    if policy.problem is not None:
        raise policy.refused(Door.SHELL, str(policy.problem))
    for tree in policy.work_trees:
        if path in (tree.path, tree.name):
            return tree
    what = f"work tree {path!r} is not permitted; list it under work_trees in {policy.source}"
    raise policy.refused(Door.SHELL, what)


def matching(path: str, patterns: Iterable[str], *, fold: bool = False) -> str | None:
    """Given a path from the top of the tree on, return the first pattern that fits, or None.

    A pattern without a slash is about the file's name, wherever it lies; one with a slash is about the whole path. `*`
    stands for anything but a slash, `**` for anything. With `fold` the letters' case does not matter.
    """
    name = path.rpartition("/")[2]
    for pattern in patterns:
        if _compiled(pattern, fold).fullmatch(path if "/" in pattern else name):
            return pattern
    return None


@lru_cache(maxsize=512)
def _compiled(pattern: str, fold: bool) -> re.Pattern[str]:
    parts = _WILD.split(pattern)
    text = "".join(_MEANING.get(part, re.escape(part)) for part in parts)
    return re.compile(text, (re.IGNORECASE if fold else 0) | re.DOTALL)
