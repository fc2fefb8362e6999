"""One source read once: its new lines, or its document as it is now."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from exporter.jsonsource.model import Fault, Source
from exporter.jsonsource.series import Table
from exporter.jsonsource.tail import Tail
from exporter.probe.model import Deadline, Http, ProbeError
from selfheal.common.clock import Clock

# how much of its interval reading a log may take: what is left is read the next time, and others have their turn
_BUDGET = 0.5


class Log:
    """A file that grows line by line."""

    def __init__(self, source: Source, path: Path, clock: Clock, *, from_beginning: bool) -> None:
        self.source = source
        self.table = Table(source.measures, source.most_series, is_log=True)
        self.lines = 0
        self.last_line: float | None = None
        """When lines were last found, in seconds since the epoch."""
        self.tail = Tail(path, from_beginning=from_beginning)
        self._clock = clock
        self._busy = threading.Lock()
        self._is_closed = False

    def refresh(self) -> None:
        """Take what has been written since the last time. Raise OSError or ValueError if the file cannot be read."""
        try:
            with self._busy:
                self._take_new_lines()
        finally:
            if self._is_closed:
                self.close()

    def close(self) -> None:
        """Let go of the file; if it is being read, once that has ended: its number must not become another's."""
        self._is_closed = True
        if self._busy.acquire(blocking=False):
            self.tail.close()
            self._busy.release()

    def _take_new_lines(self) -> None:
        now = self._clock.monotonic()
        end = now + self.source.every * _BUDGET
        faults, take = self.table.faults, self.table.take
        for lines in self.tail.read(now):
            for line in lines:
                try:
                    document = _loads(line)
                except (ValueError, RecursionError):
                    # an empty line says nothing, and nothing wrong
                    if line.strip():
                        faults[Fault.BROKEN] += 1
                    continue
                take(document)
            self.lines += len(lines)
            self.last_line = self._clock.now()
            if self._clock.monotonic() > end:
                break
        faults[Fault.LONG] = self.tail.too_long


class Document:
    """A file, or an answer over HTTP, that is one JSON document."""

    def __init__(self, source: Source, clock: Clock) -> None:
        self.source = source
        self.table = Table(source.measures, source.most_series, is_log=False)
        self._read = _reader(source, clock)

    def refresh(self) -> None:
        """Read the document and take what it has. Raise OSError or ValueError if it cannot be read."""
        try:
            document = _loads(self._read())
        except RecursionError as error:
            raise ValueError("the document is nested too deeply") from error
        except ValueError as error:
            # its own words would quote the document
            raise ValueError(f"the document cannot be read: {_without_content(error)}") from error
        self.table.begin()
        self.table.take(document)

    def close(self) -> None:
        """Nothing is kept open."""


def _reader(source: Source, clock: Clock) -> Callable[[], bytes]:
    """Return who reads a document."""
    place = source.place
    if isinstance(place, Path):
        return lambda: _read_file(place, source.size_limit)
    return _http_reader(place, source, clock)


def _http_reader(http: Http, source: Source, clock: Clock) -> Callable[[], bytes]:
    # only here, for ssl costs memory
    from exporter.probe.dial import Dialer
    from exporter.probe.over_http import fetch

    dialer = Dialer()

    def read() -> bytes:
        try:
            return fetch(http, dialer, Deadline(clock, clock.monotonic() + source.timeout))
        except ProbeError as error:
            raise OSError(f"cannot fetch it: {error}") from error

    return read


def _read_file(path: Path, limit: int) -> bytes:
    # without waiting: a pipe of this name would never open
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        data = file.read(limit + 1)
    if data is None or len(data) > limit:
        raise OSError(f"{path} is larger than {limit} bytes")
    return data


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


# made once: json.loads would make a decoder for each line
_decode = json.JSONDecoder(parse_constant=_refuse).decode


def _loads(data: bytes) -> Any:
    return _decode(data.decode("utf-8"))


def _without_content(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"no UTF-8 at byte {error.start}"
    return str(error)
