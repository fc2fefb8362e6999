"""How much the tests ran, from the reports that testing tools write: Cobertura's XML, lcov, and three kinds of JSON.

Cobertura: `lines-valid` … of http://cobertura.sourceforge.net/xml/coverage-04.dtd. lcov: geninfo(1), "FILES". JSON:
coverage.py's `totals`, Istanbul's `coverage-summary.json` (`total`), LLVM's `llvm-cov export` (`data[0].totals`).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from exporter.workspace.model import Coverage

MOST_BYTES = 128 << 20
"""Of XML and lcov, which are read piece by piece."""
MOST_JSON_BYTES = 8 << 20
"""JSON is held in memory, at many times its size."""

_CHUNK = 1 << 18
_LONGEST = 1 << 20
# beyond it a float is not exact, and far beyond it Prometheus would refuse the whole page
_MOST_LINES = 1 << 53


def read_coverage(path: Path) -> tuple[Coverage, float]:
    """Given a report, return what it says and when it was written, in seconds since the epoch.

    Raise OSError if it cannot be read, ValueError if it is too large or none of the known kinds.
    """
    # a pipe without a writer would be waited for
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        # of what is read, and not of what may have taken its place
        status = os.fstat(file.fileno())
        try:
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is no regular file")
            found = _read(file)
            if not all(0 <= count <= _MOST_LINES for count in found):
                raise ValueError("its counts are no counts")
            return found, status.st_mtime
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, expat.ExpatError) as error:
            told = error if isinstance(error, (ValueError, expat.ExpatError)) else "it is of no known kind"
            raise ValueError(f"{path} is no report of coverage: {told}") from error


def _read(file: IO[bytes]) -> Coverage:
    head = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")
    file.seek(0)
    if head.startswith(b"<"):
        return read_cobertura(file)
    if head.startswith(b"{"):
        return read_json(_bounded(file, MOST_JSON_BYTES))
    return read_lcov(file)


def _bounded(file: IO[bytes], most: int) -> bytes:
    data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it is larger than {most} bytes")
    return data


def _chunks(file: IO[bytes]) -> Iterable[bytes]:
    read = 0
    while chunk := file.read(_CHUNK):
        read += len(chunk)
        if read > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES} bytes")
        yield chunk


class _Cobertura:
    """Adds up what the elements of one report say."""

    def __init__(self) -> None:
        self.total: Coverage | None = None
        self._is_first = True
        self._in_methods = 0
        self._lines = 0
        self._covered = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._is_first:
            self._is_first = False
            if tag != "coverage":
                raise ValueError(f"its root is {tag}, not coverage")
            if "lines-valid" in attributes:
                keys = ("lines-valid", "lines-covered", "branches-valid", "branches-covered")
                self.total = Coverage(*(int(attributes.get(key, "0")) for key in keys))
        elif tag == "methods":
            # the lines of methods stand below their class once more
            self._in_methods += 1
        elif tag == "line" and not self._in_methods:
            self._lines += 1
            self._covered += int(attributes["hits"]) > 0

    def end(self, tag: str) -> None:
        if tag == "methods":
            self._in_methods -= 1

    def result(self) -> Coverage:
        return self.total or Coverage(self._lines, self._covered, 0, 0)


def read_cobertura(file: IO[bytes]) -> Coverage:
    """Given Cobertura's XML, return its totals, or the sum of its lines if it has none. Raise ValueError or ExpatError.

    Entities are refused, and nothing outside the file is read.
    """
    found = _Cobertura()
    parser = expat.ParserCreate()
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.EntityDeclHandler = _refuse_entity
    read = 0
    for chunk in _chunks(file):
        parser.Parse(chunk, False)
        read += len(chunk)
        # held in memory, and by some versions looked at from its beginning each time
        _check_length(read - max(0, parser.CurrentByteIndex))
        if found.total is not None:
            # the rest only says the same in detail
            return found.total
    parser.Parse(b"", True)
    return found.result()


def _check_length(size: int) -> None:
    if size > _LONGEST:
        raise ValueError(f"it holds a line or a tag of more than {_LONGEST} bytes")


def _refuse_entity(*_: object) -> None:
    raise ValueError("it declares entities, which no such report needs")


def read_lcov(file: IO[bytes]) -> Coverage:
    """Given lcov's tracefile, return the sums over all its files. Raise ValueError if it is none."""
    totals = dict.fromkeys((b"LF", b"LH", b"BRF", b"BRH"), 0)
    records, rest = 0, b""
    for chunk in _chunks(file):
        *lines, rest = (rest + chunk).split(b"\n")
        _check_length(len(rest))
        records += _add_lcov(lines, totals)
    records += _add_lcov([rest], totals)
    if not records:
        raise ValueError("it is of no known kind")
    return Coverage(*totals.values())


def _add_lcov(lines: Iterable[bytes], totals: dict[bytes, int]) -> int:
    records = 0
    for line in lines:
        key, _, value = line.partition(b":")
        if key in totals:
            totals[key] += int(value)
        elif line.rstrip() == b"end_of_record":
            records += 1
    return records


def read_json(data: bytes) -> Coverage:
    """Given one of the known kinds of JSON, return its totals. Raise ValueError, KeyError or TypeError otherwise."""
    found = json.loads(data)
    if "totals" in found:
        totals = found["totals"]
        return Coverage(
            _count(totals, "num_statements"),
            _count(totals, "covered_lines"),
            _count(totals, "num_branches", 0),
            _count(totals, "covered_branches", 0),
        )
    if "total" in found:
        lines, branches = found["total"]["lines"], found["total"].get("branches", {})
        return Coverage(
            _count(lines, "total"),
            _count(lines, "covered"),
            _count(branches, "total", 0),
            _count(branches, "covered", 0),
        )
    totals = found["data"][0]["totals"]
    lines, branches = totals["lines"], totals.get("branches", {})
    return Coverage(
        _count(lines, "count"), _count(lines, "covered"), _count(branches, "count", 0), _count(branches, "covered", 0)
    )


def _count(found: Mapping[str, Any], key: str, absent: int | None = None) -> int:
    value = found[key] if absent is None else found.get(key, absent)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"its {key} is no count")
    return value
