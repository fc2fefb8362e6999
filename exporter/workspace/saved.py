"""Which uncommitted files are kept nowhere: neither in Selfheal's newest checkpoint nor on a side branch of its own."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pygit2

SIDE_BRANCHES = "refs/heads/selfheal/"
_CHECKPOINT = re.compile(r"refs/selfheal/checkpoints/([0-9]{1,12})-")
LARGEST = 64 << 20
"""Bytes; no policy lets a longer file be kept, so a longer one is not read."""


def unsaved(repository: pygit2.Repository, paths: Iterable[bytes]) -> tuple[int, float | None]:
    """Given changed and untracked paths, return how many are kept nowhere as they lie there, and the oldest's time.

    The time is the earliest last modification, in seconds since the epoch; None where no such file is there.
    """
    trees = _trees(repository)
    count, times = 0, []
    for path in paths:
        full = os.fsencode(repository.workdir) + path
        try:
            found = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            # gone: kept where a commit knows that it is
            count += not any(_entry(tree, path) is None for tree in trees)
            continue
        if not _is_kept(trees, path, full, found):
            count += 1
            times.append(found.st_mtime)
    return count, min(times, default=None)


def _trees(repository: pygit2.Repository) -> list[pygit2.Tree]:
    """Return the trees of the newest checkpoint and of the side branches."""
    names = list(repository.references)
    checkpoints = sorted((int(found[1]), name) for name in names if (found := _CHECKPOINT.match(name)))
    wanted = [name for name in names if name.startswith(SIDE_BRANCHES)] + [name for _, name in checkpoints[-1:]]
    trees = []
    for name in wanted:
        # what leads to nothing keeps nothing
        with suppress(pygit2.GitError, KeyError, ValueError):
            trees.append(repository.references[name].peel(pygit2.Tree))
    return trees


def _is_kept(trees: list[pygit2.Tree], path: bytes, full: bytes, found: os.stat_result) -> bool:
    entries = [entry for entry in (_entry(tree, path) for tree in trees) if entry is not None]
    if not entries or found.st_size > LARGEST:
        return False
    if stat.S_ISLNK(found.st_mode):
        return pygit2.hash(os.fsencode(Path(os.fsdecode(full)).readlink())) in entries
    if not stat.S_ISREG(found.st_mode):
        return False
    try:
        # a link put in its place meanwhile is not followed
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        # what it holds cannot be told, so nothing says that it is kept
        return False
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(LARGEST)
    # a repository may end lines otherwise than the file does
    return pygit2.hash(data) in entries or pygit2.hash(data.replace(b"\r\n", b"\n")) in entries


def _entry(tree: pygit2.Tree, path: bytes) -> pygit2.Oid | None:
    try:
        return tree[os.fsdecode(path)].id
    except (KeyError, UnicodeEncodeError):
        return None
