"""The last sign of life of every name, in memory and, if a file is named, there too; calls come from many threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from logging import getLogger
from pathlib import Path
from typing import Any

from exporter.heartbeat.model import Beat
from selfheal.common.clock import Clock
from selfheal.common.files import write_atomic

logger = getLogger(__name__)

_MOST_BYTES = 1 << 20

# a reload builds the next ledger of the same file while calls still come to this one
_storing = threading.Lock()

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one name: since when it is watched, its last beat, and when it last went well."""

    since: float
    last: Beat | None = None
    last_ok: float | None = None


class Ledger:
    """The entries of all names."""

    def __init__(self, names: Iterable[str], state: Path | None, clock: Clock, *, read_only: bool = False) -> None:
        self._lock = threading.Lock()
        self._state = state
        self._read_only = read_only
        self._errors = 0
        self._stamp = self._look()
        known = self._load()
        now = clock.now()
        self._entries = {name: known.get(name) or Entry(now) for name in names}
        self._is_stored = self._entries == known

    @property
    def errors(self) -> int:
        """How often the state could not be read or written."""
        return self._errors

    def entries(self) -> dict[str, Entry]:
        """Return what is known of every name."""
        with self._lock:
            return dict(self._entries)

    def note(self, name: str, beat: Beat) -> None:
        """Note a beat. Raise OSError if it could not be stored; it is known all the same until the program ends."""
        with self._lock:
            entry = self._entries[name]
            if beat != entry.last:
                self._entries[name] = replace(entry, last=beat, last_ok=beat.at if beat.ok else entry.last_ok)
                self._is_stored = False
            self._store()

    def keep(self) -> None:
        """Take what another has stored, and store what could not be stored before, or was never; count a failure."""
        with self._lock:
            try:
                if self._stamp != self._look():
                    self._is_stored = False
                self._store()
            except OSError as error:
                logger.debug("heartbeats not stored", extra={"state": str(self._state), "reason": str(error)})

    def _store(self) -> None:
        if self._state is None or self._read_only or self._is_stored:
            return
        with _storing:
            if self._stamp != self._look():
                self._take_over(self._load())
            document = {
                name: {"since": e.since, "at": e.last and e.last.at, "ok": e.last and e.last.ok, "last_ok": e.last_ok}
                for name, e in self._entries.items()
            }
            try:
                write_atomic(self._state, json.dumps(document, indent=1).encode())
            except OSError:
                self._errors += 1
                raise
            self._stamp = self._look()
        self._is_stored = True

    def _look(self) -> _Stamp | None:
        try:
            found = self._state.stat() if self._state is not None else None
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size) if found is not None else None

    def _take_over(self, stored: dict[str, Entry]) -> None:
        """Take what another ledger knows better: of each name the later beat."""
        for name in stored.keys() & self._entries.keys():
            self._entries[name] = _later(self._entries[name], stored[name])

    def _load(self) -> dict[str, Entry]:
        if self._state is None:
            return {}
        try:
            with self._state.open("rb") as file:
                document = json.loads(file.read(_MOST_BYTES))
            return {name: _entry(found) for name, found in document.items()}
        except FileNotFoundError:
            # the first start
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            # to watch from now on is better than not to start
            self._errors += 1
            logger.warning("heartbeats are forgotten", extra={"state": str(self._state), "reason": str(error)})
            return {}


def _later(one: Entry, other: Entry) -> Entry:
    return Entry(
        min(one.since, other.since),
        max((entry.last for entry in (one, other) if entry.last is not None), default=None),
        max((entry.last_ok for entry in (one, other) if entry.last_ok is not None), default=None),
    )


def _entry(found: dict[str, Any]) -> Entry:
    last = None if found["at"] is None else Beat(float(found["at"]), bool(found["ok"]))
    last_ok = None if found["last_ok"] is None else float(found["last_ok"])
    return Entry(float(found["since"]), last, last_ok)
