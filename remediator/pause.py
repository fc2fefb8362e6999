"""The pause file: who paused remediation, why, until when. It is read before every intent and needs no running daemon.

Nothing here decides anything: guards and the runner ask `read`, the command line writes and clears.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from remediator.model import Pause
from selfheal.common.files import sync_folder, write_atomic

NAME = "pause"
"""The file's name inside the state folder."""
LONGEST = 64 * 1024
"""Bytes of a pause file that are read; more cannot be one of ours."""

BROKEN = Pause(who="", why="the pause file cannot be read", until=None)
"""What an unreadable pause file means: paused without an end.

It is not hard: a service that was stopped for a restart must still be started again.
"""


def read(path: Path, now: float) -> Pause | None:
    """Given the pause file and seconds since the epoch, return the pause in force, or None.

    A file that is there but cannot be read or understood counts as a pause.
    """
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST)
    except FileNotFoundError:
        return None
    except OSError:
        return BROKEN
    pause = _parse(text)
    return None if pause.until is not None and now >= pause.until else pause


def write(path: Path, pause: Pause) -> bool:
    """Put the pause in force. Return False if only the bare mark could be written, because the disk is full.

    A bare mark pauses without an end. Raise OSError if not even that could be written.
    """
    fields = {"who": pause.who, "why": pause.why, "until": pause.until, "hard": pause.hard}
    try:
        write_atomic(path, json.dumps(fields).encode() + b"\n", mode=0o600)
    except OSError:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600))
        return False
    return True


def clear(path: Path) -> bool:
    """End the pause. Return whether there was one. Raise OSError if the file cannot be removed."""
    try:
        path.unlink()  # the pause file is our own mark, not a healed path
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def _parse(text: bytes) -> Pause:
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError):
        return BROKEN
    if not isinstance(fields, dict):
        return BROKEN
    who, why = fields.get("who", ""), fields.get("why", "")
    until, hard = fields.get("until"), fields.get("hard", False)
    if not isinstance(who, str) or not isinstance(why, str) or not isinstance(hard, bool):
        return BROKEN
    if until is None:
        return Pause(who, why, None, hard)
    if isinstance(until, bool) or not isinstance(until, int | float) or not math.isfinite(until):
        return BROKEN
    return Pause(who, why, float(until), hard)
