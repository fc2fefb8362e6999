"""The library that reads git, with bounds to its memory; nothing here writes, and nothing starts a process.

Everything slow goes through those of its calls that let other threads run: `Repository.status`, `merge_base` and the
like would hold up every scrape for as long as a large tree takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2
from pygit2.enums import RepositoryOpenFlag

_MEBIBYTE = 1 << 20

# objects and packs are kept for the next question; ours are small and seldom
pygit2.settings.cache_max_size(16 * _MEBIBYTE)
pygit2.settings.mwindow_size = 8 * _MEBIBYTE
pygit2.settings.mwindow_mapped_limit = 64 * _MEBIBYTE


@contextmanager
def opened(path: Path) -> Iterator[pygit2.Repository]:
    """Given a work tree, give its repository. Raise ValueError if it is none, or git's data cannot be read."""
    try:
        repository = pygit2.Repository(str(path), RepositoryOpenFlag.NO_SEARCH)
        try:
            if repository.is_bare or repository.workdir is None:
                raise ValueError(f"{path} is a bare repository; name a work tree")
            yield repository
        finally:
            repository.free()
    except (pygit2.GitError, KeyError, OSError) as error:
        raise ValueError(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    text = str(error.args[0]) if error.args else error.__class__.__name__
    if "is not owned by current user" in text:
        return (
            f"{path} belongs to another user, and git reads no such work tree unless told so; "
            f"run git config --global --add safe.directory {path} as the user of the exporter"
        )
    if not path.is_dir():
        return f"{path} is no folder"
    if text.startswith("Repository not found"):
        return f"{path} is no work tree of git"
    return f"git's data of {path} cannot be read ({text})"
