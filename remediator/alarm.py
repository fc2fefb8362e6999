"""Tells people what is wrong with the remediator itself, by ways that do not pass Alertmanager: that may be what broke.

The ways are the log, a file in the state folder, systemd's status line, and a command that the policy names. Each
problem is told once when it begins and once when it is over, also when the program was started anew in between.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from remediator.errors import RemediatorError
from remediator.model import Json
from remediator.policy import Policy
from remediator.shell import Finished, run_command
from selfheal.common.clock import Clock, to_rfc3339
from selfheal.common.files import write_atomic

logger = logging.getLogger(__name__)

FILE = "problems.json"
"""The file's name inside the state folder; it always says what is wrong now."""
COMMAND_TIMEOUT = 30.0
"""Seconds that the command may take."""


class Alarmed(StrEnum):
    """What people are told of; the words are `alarm.<value>.begun` and `alarm.<value>.over`."""

    WATCHDOG = "watchdog"  # no delivery of the alert that always fires: no other alert arrives either
    AUDIT = "audit"  # the history was altered


class Alarm:
    """What is wrong now. `tell` and `over` may be called again and again; people hear of each change once."""

    def __init__(self, folder: Path, clock: Clock, policy: Callable[[], Policy], command: str | None = None) -> None:
        self._file = folder / FILE
        self._clock = clock
        self._policy = policy
        self._command = command
        self._guard = threading.Lock()
        self._open = _read(self._file)

    def problems(self) -> list[Json]:
        """Return what is wrong now: each with its kind, since when, and the words in both languages."""
        with self._guard:
            return list(self._open.values())

    def tell(self, what: Alarmed, **fields: object) -> bool:
        """Say that something is wrong; say whether that is new."""
        now = to_rfc3339(self._clock.now())
        with self._guard:
            if what.value in self._open:
                return False
            words = _words(f"alarm.{what.value}.begun", fields)
            self._open[what.value] = {"kind": what.value, "since": now, **words}
            self._keep()
        logger.critical("the remediator itself is in trouble", extra={"problem": what.value, **words})
        self._elsewhere("start")
        return True

    def over(self, what: Alarmed, **fields: object) -> bool:
        """Say that something is well; say whether it was not before."""
        with self._guard:
            found = self._open.pop(what.value, None)
            if found is None:
                return False
            self._keep()
        words = _words(f"alarm.{what.value}.over", fields)
        logger.critical("the trouble is over", extra={"problem": what.value, "since": found["since"], **words})
        self._elsewhere("stop")
        return True

    def _keep(self) -> None:
        try:
            text = json.dumps({"problems": list(self._open.values())}, ensure_ascii=False, indent=2)
            write_atomic(self._file, text.encode("utf-8", "replace") + b"\n")
        except OSError as error:
            # the other ways still tell it
            logger.error("problems not written", extra={"file": str(self._file), "problem": str(error)})

    def _elsewhere(self, verb: str) -> None:
        with self._guard:
            said = "; ".join(str(each["en"]) for each in self._open.values())
        tell_systemd(f"STATUS={said or 'all is well again'}")
        if self._command is None:
            return
        try:
            done = run_command(self._policy(), self._command, verb, COMMAND_TIMEOUT, self._clock.monotonic)
        except RemediatorError as error:
            logger.error("people not told by command", extra={"command": self._command, "problem": str(error)})
            return
        if not done.ok:
            logger.error("people not told by command", extra=_without_output(self._command, done))


def _without_output(command: str, done: Finished) -> Json:
    """Return what may be logged of a command that failed: what it printed may hold what it proves itself with."""
    told = {"command": command, "code": done.code, "output_characters": len(done.output)}
    return told if done.why_ended is None else told | {"why_ended": done.why_ended}


def tell_systemd(state: str) -> None:
    """Tell the service manager a line such as `STATUS=…`, if it asked for that by NOTIFY_SOCKET."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
        try:
            connection.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError as error:
            logger.warning("systemd not told", extra={"problem": str(error)})


def _words(key: str, fields: dict[str, object]) -> Json:
    # here and not above: the texts and the reader of their files are held only once something is wrong
    from remediator.locale import LANGUAGES, catalog

    return {language: catalog(language).say(key, **fields) for language in LANGUAGES}


def _read(file: Path) -> dict[str, Json]:
    """Return what a former process left as wrong; what cannot be read was nothing, and will be told again."""
    try:
        found = json.loads(file.read_bytes())["problems"]
        return {str(each["kind"]): each for each in found if each["kind"] in tuple(Alarmed)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning("problems not read", extra={"file": str(file), "problem": str(error)})
        return {}
