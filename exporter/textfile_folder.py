"""The files of the textfile collector: found by patterns, read again only when they have changed, merged by family."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from logging import getLogger
from typing import cast

from exporter.encode import Family, Kind, Metric
from exporter.textfile_read import TextFamily, parse_text
from exporter.textfile_render import Labels, render_family
from selfheal.common.clock import Clock

logger = getLogger(__name__)

# a file written twice within one tick of its file system's clock shows the same time; none ticks more slowly
_TICK = 2.0

# what is put there instead of a file must not make us wait; the first two do not exist on Windows, the third only there
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Rendered:
    """One family of one file with the lines of its series."""

    family: TextFamily
    lines: dict[Labels, str]


@dataclass(frozen=True, slots=True)
class _File:
    """What was in a file when it had this stamp: its families, or why it cannot be taken."""

    stamp: _Stamp
    families: tuple[_Rendered, ...] = ()
    problem: str | None = None


@dataclass(slots=True)
class Found:
    """What all files hold together: families, the times of the files that are good, and what is wrong."""

    families: list[Family] = field(default_factory=list)
    changed_at: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class Folders:
    """The folders that match patterns, in order; of their files those that end in .prom, by name."""

    def __init__(self, patterns: Iterable[str], clock: Clock) -> None:
        # only Python spells it with an exclamation mark
        self._patterns = [pattern.replace("[^", "[!") for pattern in patterns]
        self._clock = clock
        self._files: dict[str, _File] = {}
        self._told: frozenset[str] = frozenset()
        self._merged: tuple[dict[str, _File], Found] | None = None

    def read(self) -> Found:
        """Return what the files hold now."""
        problems: list[str] = []
        files = {}
        for path in self._paths(problems):
            try:
                files[path] = self._file(path)
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {error}")
        if self._merged is None or not _are_same(self._files, files):
            self._merged = (files, _merge(files))
        self._files = files
        merged = self._merged[1]
        found = Found(merged.families, merged.changed_at, [*problems, *merged.problems])
        self._tell(found.problems)
        return found

    def _paths(self, problems: list[str]) -> Iterable[str]:
        for pattern in self._patterns:
            for folder in sorted(glob.glob(pattern, include_hidden=True)) or [pattern]:  # noqa: PTH207 - text
                try:
                    names = sorted(os.listdir(folder))  # noqa: PTH208 - names
                except OSError as error:
                    problems.append(f"{folder}: {error.strerror}")
                    continue
                yield from (f"{folder.rstrip('/')}/{name}" for name in names if name.endswith(".prom"))

    def _file(self, path: str) -> _File:
        descriptor = os.open(path, _FLAGS)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("not a file")
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            known = self._files.get(path)
            if known is not None and known.stamp == stamp:
                return known
            data = file.read()
        if not 0 <= status.st_mtime_ns / 1e9 < self._clock.now() - _TICK:
            stamp = (0, 0, status.st_mtime_ns)
        try:
            families = tuple(_Rendered(family, render_family(family)) for family in parse_text(data))
        except ValueError as error:
            return _File(stamp, problem=f"{path}: {error}")
        return _File(stamp, families)

    def _tell(self, problems: list[str]) -> None:
        """Log what is newly wrong; the metric `node_textfile_scrape_error` says that something is."""
        for problem in problems:
            if problem not in self._told:
                logger.warning("textfile not taken", extra={"reason": problem})
        self._told = frozenset(problems)


def _are_same(old: dict[str, _File], new: dict[str, _File]) -> bool:
    return old.keys() == new.keys() and all(new[path] is file for path, file in old.items())


def _merge(files: dict[str, _File]) -> Found:
    found = Found()
    by_name: dict[str, list[tuple[str, _Rendered]]] = {}
    for path, file in files.items():
        if file.problem is not None:
            found.problems.append(file.problem)
            continue
        found.changed_at[path] = file.stamp[2] // 1_000_000_000
        for rendered in file.families:
            by_name.setdefault(rendered.family.name, []).append((path, rendered))
    for name, parts in sorted(by_name.items()):
        found.families.append(_merge_family(name, parts, found.problems))
    return found


def _merge_family(name: str, parts: list[tuple[str, _Rendered]], problems: list[str]) -> Family:
    """Given what several files say about one family, return it: the first to say a kind or a HELP is believed."""
    kind = parts[0][1].family.kind
    text = next((part.family.help for _, part in parts if part.family.help is not None), None)
    taken: dict[Labels, str] = {}
    sources = []
    for path, part in parts:
        if part.family.help is not None and part.family.help != text:
            problems.append(f"{path}: another HELP of {name} than in {parts[0][0]}")
        elif (part.family.kind or "untyped") != (kind or "untyped"):
            problems.append(f"{path}: another TYPE of {name} than in {parts[0][0]}")
        else:
            sources.append(path)
            for labels, lines in part.lines.items():
                # for Prometheus an empty label is none
                taken.setdefault(tuple(pair for pair in labels if pair[1]), lines)
    metric = Metric(name, cast(Kind, kind or "untyped"), text or f"Metric read from {', '.join(sources)}")
    return Family(metric, (), list(taken.values()))
