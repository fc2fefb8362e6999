"""The pause files: who paused what, why, until when. They are read before every intent and need no running daemon.

`<state>/pause` pauses everything. Each file in `<state>/pause.d/` pauses what its name says: `playbook=NAME`,
`target=HOST%2FKIND:NAME`, or both with a comma between them. What a file holds only adds who, why, until and hard, so
that a bare mark pauses as well. Nothing here decides anything: guards and the runner ask, people write and clear.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from remediator.model import Json, Pause, Scope
from selfheal.common.clock import to_rfc3339
from selfheal.common.files import sync_folder, write_atomic

NAME = "pause"
"""The file, inside the state folder, that pauses everything."""
FOLDER = "pause.d"
"""The folder beside it of those that pause less."""
LONGEST = 64 * 1024
"""Bytes of a pause file that are read; more cannot be one of ours."""
LONGEST_NAME = 200
"""Bytes of a file's name; a target whose name is longer stands in the file instead."""
EVERYTHING = Scope()

BROKEN = Pause(who="", why="the pause file cannot be read", until=None)
"""What an unreadable pause file means: paused without an end.

It is not hard: a service that was stopped for a restart must still be started again.
"""
_PLAYBOOK = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DIGEST = "sha256-"
_SIGNED = ".resumed"


def read(path: Path, now: float) -> Pause | None:
    """Given one pause file and seconds since the epoch, return the pause in force, or None.

    A file that is there but cannot be read or understood counts as a pause of everything that its name may mean.
    """
    scope = _scope_of(path.name) if path.name != NAME else EVERYTHING
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST)
    except FileNotFoundError:
        return None
    except OSError:
        return replace(BROKEN, scope=scope or EVERYTHING)
    pause = _parse(text, scope, path.name)
    return None if pause.until is not None and now >= pause.until else pause


def read_all(state: Path, now: float) -> dict[str, Pause]:
    """Given the state folder, return every pause in force by its file's name below that folder."""
    found = {NAME: read(state / NAME, now)}
    try:
        names = _names(state)
    except OSError:
        found[FOLDER] = BROKEN
        names = []
    found |= {f"{FOLDER}/{name}": read(state / FOLDER / name, now) for name in names}
    return {name: pause for name, pause in found.items() if pause is not None}


def every(state: Path) -> list[Path]:
    """Return the path of every pause file, whether or not its pause is over. Raise OSError if they cannot be listed."""
    return [state / NAME, *(state / FOLDER / name for name in _names(state))]


def read_for(state: Path, playbook: str, target: str, now: float) -> Pause | None:
    """Return the pause that keeps back this playbook on this target, or None: of several a hard one, then the longest.

    Files about something else are not opened.
    """
    found = [read(state / NAME, now)]
    try:
        for name in _names(state):
            scope = _scope_of(name)
            if scope is None or scope.covers(playbook, target):
                found.append(read(state / FOLDER / name, now))
    except OSError:
        found.append(BROKEN)
    return strongest(pause for pause in found if pause is not None and pause.scope.covers(playbook, target))


def strongest(pauses: Iterable[Pause]) -> Pause | None:
    """Given the pauses of one thing, return a hard one before others, then the one that ends last; None of none."""
    return max(pauses, key=lambda pause: (pause.hard, math.inf if pause.until is None else pause.until), default=None)


def told(state: Path, now: float) -> Json:
    """Given the state folder, return the pauses in force as the API shows them.

    `paused` is the one that is about everything, or None; `pauses` are all of them, each with its scope and file.
    """
    found = read_all(state, now)
    whole = strongest(pause for pause in found.values() if pause.scope == EVERYTHING)
    each = [{**_shown(pause), **asdict(pause.scope), "file": name} for name, pause in found.items()]
    return {"paused": None if whole is None else _shown(whole), "pauses": each}


def _shown(pause: Pause) -> Json:
    until = None if pause.until is None else to_rfc3339(pause.until)
    return {"who": pause.who, "why": pause.why, "until": until, "hard": pause.hard}


def write(path: Path, pause: Pause) -> bool:
    """Put the pause in force. Return False if only the bare mark could be written, because the disk is full.

    A bare mark pauses what its name says, without an end. Raise OSError if not even that could be written.
    """
    fields: dict[str, object] = {"who": pause.who, "why": pause.why, "until": pause.until, "hard": pause.hard}
    if pause.scope != EVERYTHING:
        fields |= {"playbook": pause.scope.playbook, "target": pause.scope.target}
        _make_folder(path.parent)
    try:
        write_atomic(path, json.dumps(fields).encode() + b"\n", mode=0o600)
    except OSError:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        return False
    _give_to_owner(path)
    return True


def clear(path: Path) -> bool:
    """End one pause. Return whether there was one. Raise OSError if the file cannot be removed."""
    try:
        path.unlink()  # the pause file is our own mark, not a healed path
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def sign(state: Path, name: str, who: str) -> None:
    """Leave a note for the history of who ended the pause in the file `name` (as `read_all` names it)."""
    try:
        _make_folder(state / FOLDER)
        line = json.dumps({"name": name, "who": who}).encode() + b"\n"
        path = state / FOLDER / _SIGNED
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        _give_to_owner(path)
    except OSError:
        # the pause has ended; that nobody knows who ended it must not look like a failure
        return


def signed(state: Path) -> dict[str, str]:
    """Return who ended the pause in which file, as far as notes were left, and forget the notes."""
    try:
        path = (state / FOLDER / _SIGNED).rename(state / FOLDER / f"{_SIGNED}.read")
        lines = path.read_bytes()[-LONGEST:].splitlines()
        path.unlink()
    except OSError:
        return {}
    found = {}
    for line in lines:
        try:
            note: Any = json.loads(line)
            found[str(note["name"])] = str(note["who"])
        except (ValueError, RecursionError, TypeError, KeyError):
            continue
    return found


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return
    _give_to_owner(path)


def _give_to_owner(path: Path) -> None:
    """What root writes beside a remediator of another user must be readable by it, or it counts as broken."""
    if os.geteuid() != 0:
        return
    try:
        owner = (path.parent.parent if path.parent.name == FOLDER else path.parent).stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    except OSError:
        # it is in force all the same
        return


def path_of(state: Path, scope: Scope) -> Path:
    """Given the state folder and what is to be paused, return the file that says so."""
    if scope == EVERYTHING:
        return state / NAME
    parts = [f"playbook={scope.playbook}"] if scope.playbook else []
    if scope.target:
        written = quote(scope.target, safe=":")
        if len(written) > LONGEST_NAME - sum(map(len, parts)):
            written = _DIGEST + hashlib.sha256(scope.target.encode("utf-8", "replace")).hexdigest()
        parts.append(f"target={written}")
    return state / FOLDER / ",".join(parts)


def scope_problem(scope: Scope) -> str | None:
    """Say what is wrong with a scope that a person named, with the remedy, or None."""
    if scope.playbook and not _PLAYBOOK.fullmatch(scope.playbook):
        return f"{scope.playbook[:80]!r} is no playbook name; use small letters, digits and _"
    if scope.target and not re.fullmatch(r"[^/]+/[^:/]+:.+", scope.target, re.DOTALL):
        return f"{scope.target[:80]!r} is no target; write HOST/KIND:NAME, as selfheal runs shows it"
    return None


def _names(state: Path) -> list[str]:
    """Return the names of the files that pause less than everything; hidden ones are files on their way."""
    try:
        return sorted(path.name for path in (state / FOLDER).iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def _scope_of(name: str) -> Scope | None:
    """Given a file's name, return at least what it pauses; None when it tells nothing, so that it may mean anything."""
    told: dict[str, str] = {}
    for part in name.split(","):
        key, equals, value = part.partition("=")
        if key not in ("playbook", "target") or key in told or not equals or not value:
            return None
        told[key] = unquote(value)
    if told.get("target", "").startswith(_DIGEST):
        told["target"] = ""
    scope = Scope(told.get("playbook", ""), told.get("target", ""))
    return None if scope_problem(scope) else scope


def _parse(text: bytes, named: Scope | None, name: str) -> Pause:
    """Given what a file holds and what its name says, return the pause; what is not understood never narrows it."""
    broken = replace(BROKEN, scope=named or EVERYTHING)
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError):
        return broken
    if not isinstance(fields, dict):
        return broken
    who, why = fields.get("who", ""), fields.get("why", "")
    until, hard = fields.get("until"), fields.get("hard", False)
    if not isinstance(who, str) or not isinstance(why, str) or not isinstance(hard, bool):
        return broken
    if until is not None and (
        isinstance(until, bool) or not isinstance(until, int | float) or not math.isfinite(until)
    ):
        return broken
    return Pause(who, why, None if until is None else float(until), hard, _scope_in(fields, named, name))


def _scope_in(fields: dict[str, Any], named: Scope | None, name: str) -> Scope:
    """A target whose name is too long for a file's stands in the file; otherwise the name alone says what is paused."""
    if named is None:
        return EVERYTHING
    target = fields.get("target")
    if not isinstance(target, str):
        return named
    whole = Scope(named.playbook, target)
    return whole if path_of(Path(), whole).name == name else named
