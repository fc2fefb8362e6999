"""Which group a process belongs to, by process-exporter's config file and its rules.

One truth for the exporter, which counts groups, and for the actions, which end members. Nothing here signals or counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from selfheal.common.process_rules import Rule
from selfheal.common.procfs import Process, boot_id, boot_time, list_pids, read_process

__all__ = [
    "Grouping",
    "Process",
    "boot_id",
    "boot_time",
    "list_pids",
    "members",
    "nearest_groups",
    "read_process",
    "snapshot",
    "zombie_children",
]


class Grouping:
    """The rules of one config file, in order: the first that matches a process names its group."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self._rules = rules

    @classmethod
    def load(cls, path: Path) -> Grouping:
        """Given a process-exporter config file, return its rules.

        Raise ValueError listing every error, one a line, each with file, key path and remedy.
        """
        # an exporter without groups need not hold a parser of YAML
        from selfheal.common.process_names import read_rules

        return cls(read_rules(path))

    @classmethod
    def of_names(cls, names: str, mapping: str) -> Grouping:
        """Given what process-exporter's `-procnames` and `-namemapping` hold, return the rules.

        Raise ValueError listing every error, one a line.
        """
        from selfheal.common.process_names import read_names

        return cls(read_names(names, mapping))

    def names(self) -> tuple[str, ...]:
        """Return the literal group names, in the order of the file: these exist also without members."""
        return tuple(dict.fromkeys(rule.name for rule in self._rules if rule.is_literal))

    @property
    def uses_user(self) -> bool:
        """Say whether a group's name depends on the user, so that a reader may leave the uid unread if not."""
        return self._uses(".Username")

    @property
    def uses_cgroups(self) -> bool:
        """Say whether a group's name depends on the cgroups."""
        return self._uses(".Cgroups")

    @property
    def uses_start(self) -> bool:
        """Say whether a group's name depends on when the process started."""
        return self._uses(".StartTime")

    def _uses(self, field: str) -> bool:
        return any(rule.uses(field) for rule in self._rules)

    def group_of(self, process: Process) -> str | None:
        """Given a process, return the group of the first rule it matches itself, or None."""
        for rule in self._rules:
            captures = rule.match(process)
            if captures is not None:
                return rule.render(process, captures)
        return None


def snapshot(procfs: Path) -> dict[int, Process]:
    """Return every process that is there now, by pid. Raise OSError if `procfs` or an entry cannot be read."""
    found = (read_process(procfs, pid) for pid in list_pids(procfs))
    return {process.pid: process for process in found if process is not None}


def nearest_groups(own: Mapping[int, str | None], parents: Mapping[int, int]) -> dict[int, str]:
    """Given each pid's own group and parent, return the group of each pid that has one.

    A process without a group of its own joins its nearest ancestor that has one (process-exporter's `-children`).
    """
    groups: dict[int, str | None] = {0: None}
    for start in own:
        path: dict[int, None] = {}
        pid = start
        # a path that meets itself has no ancestor: a torn reading can make two processes each other's parents
        while pid not in groups and pid in own and own[pid] is None and pid not in path:
            path[pid] = None
            pid = parents[pid]
        group = groups[pid] if pid in groups else own.get(pid)
        groups.update(dict.fromkeys([*path, start], group))
    return {pid: group for pid, group in groups.items() if group is not None}


def members(procfs: Path, grouping: Grouping) -> dict[str, tuple[Process, ...]]:
    """Return the living members of every group as they are now; a literal group without members is there and empty.

    Raise OSError if `procfs` or an entry cannot be read.
    """
    found = snapshot(procfs)
    groups = _groups(found, grouping)
    result: dict[str, list[Process]] = {name: [] for name in grouping.names()}
    for process in found.values():
        if process.pid in groups and not process.is_zombie:
            result.setdefault(groups[process.pid], []).append(process)
    return {name: tuple(processes) for name, processes in result.items()}


def zombie_children(procfs: Path, grouping: Grouping) -> dict[str, tuple[tuple[Process, Process], ...]]:
    """Return, by the parent's group, every zombie with its parent; a literal group without any is there and empty.

    Raise OSError if `procfs` or an entry cannot be read.
    """
    found = snapshot(procfs)
    groups = _groups(found, grouping)
    result: dict[str, list[tuple[Process, Process]]] = {name: [] for name in grouping.names()}
    for process in found.values():
        parent = found.get(process.ppid)
        if process.is_zombie and parent is not None and not parent.is_zombie and parent.pid in groups:
            result.setdefault(groups[parent.pid], []).append((process, parent))
    return {name: tuple(pairs) for name, pairs in result.items()}


def _groups(found: Mapping[int, Process], grouping: Grouping) -> dict[int, str]:
    own = {pid: None if process.is_zombie else grouping.group_of(process) for pid, process in found.items()}
    return nearest_groups(own, {pid: process.ppid for pid, process in found.items()})
