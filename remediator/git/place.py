"""Whether a work tree is what its path says: our own, in one piece, with a git directory of the plain kind."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

LARGEST_NOTE = 1 << 20
"""Bytes of a small file of git: the configuration, HEAD, lists of what is ignored."""
_FOLDERS = ("objects", "refs")
_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "sequencer": "a cherry-pick or revert",
    "BISECT_LOG": "a bisect",
    "index.lock": "another program that writes the index",
    "HEAD.lock": "another program that writes HEAD",
}
"""What lies in a git directory while something goes on."""


def place_problem(tree: Path) -> str | None:
    """Given a work tree, return why it is not opened, or None. Links are never followed, and it must be our own."""
    if os.path.realpath(tree) != str(tree):
        return f"{tree} is not there, or a link stands on its way; name where it really is"
    git = tree / ".git"
    for folder in (tree, git, *(git / name for name in _FOLDERS)):
        try:
            found = folder.lstat()
        except OSError as error:
            return f"{folder} cannot be looked at ({error.strerror}); name the top of a work tree"
        if stat.S_ISREG(found.st_mode) and folder == git:
            return f"{git} is a file that points elsewhere; name the repository's main work tree, no linked one"
        if not stat.S_ISDIR(found.st_mode):
            return f"{folder} is no folder; links are never followed"
        if found.st_uid != os.geteuid():
            return f"{folder} belongs to uid {found.st_uid}; only work trees of uid {os.geteuid()} are touched"
        if found.st_mode & stat.S_IWOTH:
            return f"{folder} can be written by everybody; run chmod o-w {folder}"
    if (git / "commondir").exists():
        return f"{git} shares another repository; name the main work tree"
    return next(_open_parents(tree), None)


def under_way(tree: Path) -> str | None:
    """Return what goes on in a work tree and must be let alone, or None."""
    return next((what for name, what in _UNDER_WAY.items() if os.path.lexists(tree / ".git" / name)), None)


def reference_problem(git: Path, reference: str) -> str | None:
    """Given a git directory and a full name of a reference, return why it is not written there, or None.

    What stands in its place must be a plain file below plain folders: a link would lead the write elsewhere.
    """
    place = git
    for part in reference.split("/"):
        place /= part
        try:
            found = place.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"{place} cannot be looked at ({error.strerror})"
        if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
            return f"{place} is a link or no file; references are never written through one"
    return None


def checked_out(git: Path) -> frozenset[str]:
    """Return the references that HEAD of the work tree, or of one linked to it, stands for."""
    heads = [git / "HEAD", *sorted((git / "worktrees").glob("*/HEAD"))]
    return frozenset(text.removeprefix("ref:").strip() for text in map(_text, heads) if text.startswith("ref:"))


def read_note(path: Path) -> bytes | None:
    """Return a small file of git, None if it is not there. Raise OSError if it is a link, no file, or too large."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, f"{path} is no file")
        data = file.read(LARGEST_NOTE + 1)
    if len(data) > LARGEST_NOTE:
        raise OSError(0, f"{path} is larger than {LARGEST_NOTE} bytes")
    return data


def _text(path: Path) -> str:
    return (read_note(path) or b"").decode("utf-8", "surrogateescape")


def _open_parents(tree: Path) -> Iterator[str]:
    for folder in tree.parents:
        found = folder.stat()
        # in a sticky folder nobody can replace what is another's
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            yield f"{tree} could be replaced: everybody may write in {folder}"
        if found.st_uid not in (0, os.geteuid()):
            yield f"{tree} could be replaced: {folder} belongs to uid {found.st_uid}"
