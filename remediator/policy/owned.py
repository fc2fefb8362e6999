"""Files that must be ours: the policy, what it points to, the programs it names. Who else could have written them?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from selfheal.common.problems import ConfigError, Problem

LARGEST_FILE = 1 << 20
"""Bytes of a policy or identities file; both are far smaller."""
_MOST_LINKS = 40
"""As many as Linux follows."""


def read_own(path: Path) -> tuple[str, Problem | None]:
    """Return the text of a file and what is wrong with its owner or mode. Raise ConfigError if it cannot be read.

    What is no regular file is not read at all: a pipe would keep us waiting.
    """
    remedy = "name a file that this user can read"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            # asked of the open file: what is checked is what is read
            found = os.fstat(file.fileno())
            data = file.read(LARGEST_FILE + 1) if stat.S_ISREG(found.st_mode) else b""
        text = data.decode("utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read ({error.strerror})", remedy)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem(str(path), "", f"is not UTF-8 text (byte {error.start})", "save it as UTF-8")]
        ) from error
    if len(data) > LARGEST_FILE:
        raise ConfigError([Problem(str(path), "", f"is larger than {LARGEST_FILE} bytes", "shorten it")])
    return text, _ownership_problem(path, found) or _place_problem(path)


def untrusted(path: str) -> str | None:
    """Given the path of a program or of a file it reads, return who else could have written it, or None.

    Links are followed to where it really is; there the file must be root's or ours, and so must every link and folder
    on the way, of which none may be open to everybody.
    """
    real = Path(os.path.realpath(path))
    try:
        names = _names(Path(path))
        found = real.stat()
        links = [(name, name.lstat()) for name in names]
        ways = dict.fromkeys(folder for name in (real, *names) for folder in name.parents)
        folders = [(folder, folder.stat()) for folder in ways]
    except OSError as error:
        return f"{path} cannot be looked at ({error.strerror})"
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return f"{path} is neither a file nor a folder"
    if not _is_trusted(found):
        return f"{path} belongs to uid {found.st_uid}, who could change it; give it to root or to uid {os.geteuid()}"
    if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid())):
        return f"{path} can be written by others; run chmod go-w {real}"
    for link, seen in links:
        if not _is_trusted(seen):
            return f"the link {link} belongs to uid {seen.st_uid}, who could change it; name the file itself"
    for folder, seen in folders:
        # whoever owns a folder may rename what is in it, whoever's that is
        if _is_open(seen) or not _is_trusted(seen):
            why = _open(folder) if _is_open(seen) else f"uid {seen.st_uid} owns {folder}"
            return f"{path} could be replaced: {why}"
    return None


def _names(path: Path) -> list[Path]:
    """Return every name by which a file is found: the one that is written, and those of the links that it leads to."""
    names = [path.absolute()]
    while names[-1].is_symlink() and len(names) < _MOST_LINKS:
        names.append(names[-1].parent / names[-1].readlink())
    return names


def _is_trusted(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid())


def _ownership_problem(path: Path, found: os.stat_result) -> Problem | None:
    if not stat.S_ISREG(found.st_mode):
        return Problem(str(path), "", "is no regular file, so everything is denied", "name a regular file")
    if found.st_uid not in (0, os.geteuid()):
        what = f"is owned by uid {found.st_uid}, so everything is denied"
        return Problem(str(path), "", what, f"give it to root or to uid {os.geteuid()}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        what = f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o}), so everything is denied"
        return Problem(str(path), "", what, f"run chmod 600 {path}")
    return None


def _place_problem(path: Path) -> Problem | None:
    """A file that is ours is no help where somebody else can put another in its place, or point to another."""
    try:
        link, folder = path.lstat(), path.absolute().parent
        around = [(place, place.stat()) for place in {folder, Path(os.path.realpath(path)).parent}]
    except OSError as error:
        return Problem(str(path), "", f"cannot be looked at ({error.strerror}), so everything is denied", "mend that")
    if link.st_uid not in (0, os.geteuid()):
        what = f"is a link owned by uid {link.st_uid}, so everything is denied"
        return Problem(str(path), "", what, "name the file itself")
    for place, found in around:
        if _is_open(found):
            what = f"could be replaced: {_open(place)}, so everything is denied"
            return Problem(str(path), "", what, f"run chmod o-w {place}")
    return None


def _is_open(folder: os.stat_result) -> bool:
    # in a sticky folder nobody can replace what is another's
    return bool(folder.st_mode & stat.S_IWOTH) and not folder.st_mode & stat.S_ISVTX


def _open(folder: Path) -> str:
    return f"everybody may write in {folder}"
