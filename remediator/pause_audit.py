"""Pauses as history: what begins, changes or ends is recorded as an event, whoever wrote the file and however.

The files in the state folder are the truth (`pause.py`); here is only compared what they say with what was told last.
"""

from __future__ import annotations

from pathlib import Path

from remediator import pause as files
from remediator.errors import RemediatorError, StoreUnavailable
from remediator.model import Json, Pause, Reason, Scope
from remediator.parts import Parts
from remediator.store import Tx

LOOK_AGAIN = 2.0
"""Seconds between two looks at the files."""


class CannotPause(RemediatorError):
    """The scope names nothing that can be paused, or the file cannot be changed."""


def pause(parts: Parts, wanted: Pause) -> None:
    """Put a pause in force and record it, at once or as soon as the store can take it. Raise CannotPause."""
    path = _path(parts, wanted.scope)
    try:
        files.write(path, wanted)
    except OSError as error:
        raise CannotPause(f"the pause file cannot be written: {error.strerror}") from error
    _look_now(parts)


def resume(parts: Parts, scope: Scope, who: str) -> bool:
    """End the pause of exactly this scope and record who did; say whether there was one. Raise CannotPause."""
    path = _path(parts, scope)
    try:
        was_paused = files.clear(path)
    except OSError as error:
        raise CannotPause(f"the pause file cannot be removed: {error.strerror}") from error
    if was_paused:
        files.sign(parts.config.state, str(path.relative_to(parts.config.state)), who)
        _look_now(parts)
    return was_paused


def look(parts: Parts, now: float) -> float:
    """Record what the files say that was not told yet; return when to look again."""
    state = parts.config.state
    present = {each["file"]: each for each in files.told(state, now)["pauses"]}
    with parts.store.read() as reader:
        known = reader.told_pauses()
    if present != known:
        notes = files.signed(state)
        parts.store.write(lambda tx: _record(tx, present, notes, now))
    return now + LOOK_AGAIN


def _path(parts: Parts, scope: Scope) -> Path:
    problem = files.scope_problem(scope)
    if problem is not None:
        raise CannotPause(problem)
    return files.path_of(parts.config.state, scope)


def _look_now(parts: Parts) -> None:
    try:
        look(parts, parts.clock.now())
    except StoreUnavailable:
        # the next look records it
        parts.counters.count("store_errors")


def _record(tx: Tx, present: dict[str, Json], notes: dict[str, str], now: float) -> None:
    known = tx.told_pauses()
    for name in sorted(present.keys() - known.keys()) + [
        name for name in sorted(present.keys() & known.keys()) if present[name] != known[name]
    ]:
        tx.tell_pause(name, present[name])
        tx.add_event("paused", now, reason=Reason.PAUSED, detail=present[name])
    for name in sorted(known.keys() - present.keys()):
        tx.forget_pause(name)
        tx.add_event("resumed", now, detail=known[name] | {"ended_by": notes.get(name, "")})
