"""Which group a process belongs to, by process-exporter's config file and its rules.

One truth for the exporter, which counts groups, and for the actions, which end members. Nothing here signals or counts.
"""

from __future__ import annotations

import pwd
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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

DEFAULT_NAME = "{{.ExeBase}}"

_FIELDS = (".Comm", ".ExeBase", ".ExeFull", ".Username", ".PID")
_TEMPLATE = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_MATCH = re.compile(r"\.Matches\.([A-Za-z_][A-Za-z0-9_]*)")
_SELECTORS = ("comm", "exe", "cmdline")


@dataclass(frozen=True, slots=True)
class _Rule:
    """One entry of `process_names`: all the selectors it has must match."""

    name: str
    comm: frozenset[str]
    exe: frozenset[str]
    cmdline: tuple[re.Pattern[str], ...]

    def match(self, process: Process) -> dict[str, str] | None:
        """Given a process, return the named captures if every selector matches, else None."""
        if self.comm and process.comm not in self.comm:
            return None
        if self.exe and not self._is_exe(process.argv):
            return None
        captures: dict[str, str] = {}
        line = " ".join(process.argv)
        for pattern in self.cmdline:
            found = pattern.search(line)
            if found is None:
                return None
            captures |= {name: text or "" for name, text in found.groupdict().items()}
        return captures

    def _is_exe(self, argv: tuple[str, ...]) -> bool:
        # a selector with a slash means the whole first argument, one without means its last component
        return bool(argv) and (argv[0] in self.exe or _base(argv[0]) in self.exe)

    @property
    def is_literal(self) -> bool:
        """Say whether the name is the same for every process."""
        return "{{" not in self.name

    def render(self, process: Process, captures: Mapping[str, str]) -> str:
        """Given a matched process and its captures, return the name of its group."""
        if self.is_literal:
            return self.name
        return _TEMPLATE.sub(lambda found: _value(found[1].strip(), process, captures), self.name)


class Grouping:
    """The rules of one config file, in order: the first that matches a process names its group."""

    def __init__(self, rules: tuple[_Rule, ...] = ()) -> None:
        self._rules = rules

    @classmethod
    def load(cls, path: Path) -> Grouping:
        """Given a process-exporter config file, return its rules.

        Raise ValueError listing every error, one a line, each with file, key path and remedy.
        """
        try:
            document = yaml.load(path.read_text("utf-8"), Loader=_StrictLoader)
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path}: cannot be read as YAML: {reason}") from error
        problems: list[str] = []
        rules = _read_document(document, problems)
        if problems:
            raise ValueError("\n".join(f"{path}: {problem}" for problem in problems))
        return cls(tuple(rules))

    def names(self) -> tuple[str, ...]:
        """Return the literal group names, in the order of the file: these exist also without members."""
        return tuple(dict.fromkeys(rule.name for rule in self._rules if rule.is_literal))

    @property
    def uses_user(self) -> bool:
        """Say whether a group's name depends on the user, so that a reader may leave the uid unread if not."""
        return any(".Username" in rule.name for rule in self._rules)

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


def _base(path: str) -> str:
    # as Go's filepath.Base: trailing slashes do not count
    return path.rstrip("/").rpartition("/")[2] or path


def _value(expression: str, process: Process, captures: Mapping[str, str]) -> str:
    match expression:
        case ".Comm":
            return process.comm
        case ".ExeBase":
            return _base(process.exe)
        case ".ExeFull":
            return process.exe
        case ".PID":
            return str(process.pid)
        case ".Username":
            return _user_name(process.uid)
    return captures.get(expression.removeprefix(".Matches."), "")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key written twice is an error: a lost selector would widen a group."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return the mapping. Raise YAMLError if a key stands in it twice."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice; keep one", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_document(document: Any, problems: list[str]) -> list[_Rule]:
    if not isinstance(document, dict):
        problems.append("the file must hold a mapping with the key process_names")
        return []
    for key in document:
        if key != "process_names":
            problems.append(f"{key}: unknown key; only process_names is known here")
    entries = document.get("process_names")
    if not isinstance(entries, list) or not entries:
        problems.append("process_names: must be a list with at least one group")
        return []
    rules = [_read_entry(entry, f"process_names[{index}]", problems) for index, entry in enumerate(entries)]
    return [rule for rule in rules if rule is not None]


def _read_entry(entry: Any, at: str, problems: list[str]) -> _Rule | None:
    if not isinstance(entry, dict):
        problems.append(f"{at}: must be a mapping with name and at least one of comm, exe, cmdline")
        return None
    before = len(problems)
    for key in entry:
        if key not in ("name", *_SELECTORS):
            problems.append(f"{at}.{key}: unknown key; known are name, comm, exe, cmdline")
    texts = {key: _read_texts(entry[key], f"{at}.{key}", problems) for key in _SELECTORS if key in entry}
    if not texts:
        problems.append(f"{at}: selects nothing; add at least one of comm, exe, cmdline")
    patterns = tuple(_read_patterns(texts.get("cmdline", ()), f"{at}.cmdline", problems))
    name = entry.get("name", DEFAULT_NAME)
    captures = {capture for pattern in patterns for capture in pattern.groupindex}
    _check_name(name, f"{at}.name", captures, problems)
    if len(problems) > before:
        return None
    return _Rule(name, frozenset(texts.get("comm", ())), frozenset(texts.get("exe", ())), patterns)


def _read_texts(value: Any, at: str, problems: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        problems.append(f"{at}: must be a list with at least one text; write [...] around it")
        return ()
    for index, text in enumerate(value):
        if not isinstance(text, str) or not text:
            problems.append(f"{at}[{index}]: must be a text that is not empty; put it in quotes")
    return tuple(text for text in value if isinstance(text, str) and text)


def _read_patterns(texts: tuple[str, ...], at: str, problems: list[str]) -> list[re.Pattern[str]]:
    patterns = []
    for index, text in enumerate(texts):
        try:
            patterns.append(re.compile(text))
        except re.error as error:
            problems.append(f"{at}[{index}]: is not a regular expression ({error}); mend or remove it")
    return patterns


def _check_name(name: Any, at: str, captures: set[str], problems: list[str]) -> None:
    if not isinstance(name, str) or not name.strip():
        problems.append(f"{at}: must be a text that is not empty; put it in quotes")
        return
    if "{{" in _TEMPLATE.sub("", name):
        problems.append(f"{at}: a template is opened with {{{{ and never closed; close it with }}}}")
    known = "known are " + ", ".join(f"{{{{{field}}}}}" for field in _FIELDS) + " and {{.Matches.NAME}}"
    for expression in (found[1].strip() for found in _TEMPLATE.finditer(name)):
        found = _MATCH.fullmatch(expression)
        if found and found[1] not in captures:
            problems.append(
                f"{at}: {{{{{expression}}}}} names no capture; write (?P<{found[1]}>...) in a cmdline of this entry"
            )
        elif not found and expression not in _FIELDS:
            problems.append(f"{at}: {{{{{expression}}}}} is not supported; {known}")
