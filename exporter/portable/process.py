"""Groups of processes, as the collector process has them, as far as psutil tells the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psutil

from exporter.collectors.process import read_grouping
from exporter.encode import Family, Metric
from exporter.portable.group_families import group_families
from exporter.portable.groups import Groups, Rules
from exporter.portable.members import count_zombies
from exporter.portable.system import SYSTEM, System, refuse
from exporter.settings import IncompleteError, Settings
from selfheal.common.processes import Grouping

_ZOMBIES = Metric("selfheal_zombies", "gauge", "Zombies on this host, whoever their parents are.")
_FOLDED = Metric(
    "selfheal_process_groups_folded", "gauge", "Groups without room of their own, whose members are counted as other."
)
_ERRORS = Metric("namedprocess_scrape_errors", "counter", "Looks at the processes that failed as a whole.")
_UNREADABLE = Metric("namedprocess_scrape_procread_errors", "counter", "Processes that could not be read.")
_PARTIAL = Metric(
    "namedprocess_scrape_partial_errors", "counter", "Parts of members that could not be read for want of rights."
)


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that looks at all processes. Raise ValueError if flags or the file ask for what is not told.

    The names that use most are not told here: psutil would have to read every process in detail at every scrape.
    """
    flags = vars(settings.flags)
    refuse(flags, "--threads", "--gather-smaps")
    grouping = read_grouping(flags)
    if grouping is not None and grouping.uses_cgroups:
        raise ValueError(f"{flags['config.path']}: {{{{.Cgroups}}}} is only for --engine=procfs, on Linux; remove it")
    return _Processes(settings, None if grouping is None else _groups(flags, grouping))


def _groups(flags: Mapping[str, Any], grouping: Grouping) -> Groups:
    grace = -1.0 if flags["remove_empty_groups"] else flags["collector.process.group_grace"]
    return Groups(Rules(grouping, flags["children"], flags["collector.process.max_groups"], grace))


class _Processes:
    """The groups as they live on from scrape to scrape, and what could not be read."""

    def __init__(self, settings: Settings, groups: Groups | None) -> None:
        self._clock = settings.clock
        self._groups = groups
        self._errors = {_ERRORS: 0, _UNREADABLE: 0, _PARTIAL: 0}

    def __call__(self) -> list[Family]:
        """Return the families. Raise IncompleteError if some processes could not be read, or all."""
        try:
            families, unreadable = self._look()
        except (OSError, psutil.Error) as error:
            self._errors[_ERRORS] += 1
            raise IncompleteError(f"cannot read processes: {error}", self._own_families()) from error
        families += self._own_families()
        if unreadable:
            raise IncompleteError(f"{unreadable} processes could not be read", families)
        return families

    def _look(self) -> tuple[list[Family], int]:
        groups = self._groups
        if groups is None:
            return _zombies(count_zombies()), 0
        found = groups.look(self._clock.monotonic())
        self._errors[_UNREADABLE] += groups.unreadable
        self._errors[_PARTIAL] += groups.hidden
        return [*group_families(found), _FOLDED.only(groups.folded), *_zombies(groups.zombies)], groups.unreadable

    def _own_families(self) -> list[Family]:
        return [metric.only(count) for metric, count in self._errors.items()]


def _zombies(count: int) -> list[Family]:
    # on Windows what has ended is gone
    return [] if SYSTEM is System.WINDOWS else [_ZOMBIES.only(count)]
