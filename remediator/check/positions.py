"""Where in a file a problem stands: line and column of the key or list element that its path names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from remediator.check.rules import LARGEST_FILE
from selfheal.common.documents import read_text
from selfheal.common.problems import ConfigError, Problem

_MARK = re.compile(r"line ([0-9]+), column ([0-9]+)")
_ELEMENT = re.compile(r"\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a text; both count from 1."""

    line: int = 1
    column: int = 1


class Positions:
    """Finds problems in their files; each file is read once."""

    def __init__(self) -> None:
        self._nodes: dict[str, yaml.Node | None] = {}

    def of(self, problem: Problem) -> Position:
        """Given a problem, return where it stands: as near as its path leads, the file's beginning if nowhere."""
        if told := _MARK.fullmatch(problem.path):
            # what is no YAML tells its place itself
            return Position(int(told[1]), int(told[2]))
        if problem.file not in self._nodes:
            self._nodes[problem.file] = _read(problem.file)
        node = self._nodes[problem.file]
        return Position() if node is None else _find(node, problem.path)


def _read(file: str) -> yaml.Node | None:
    try:
        # composed only: nothing is made of it, and an alias stays one node
        return yaml.compose(read_text(Path(file), LARGEST_FILE), Loader=yaml.SafeLoader)
    except (ConfigError, yaml.YAMLError, RecursionError, ValueError):
        # that it cannot be read is a problem of its own, told already
        return None


def _find(node: yaml.Node, path: str) -> Position:
    mark = node.start_mark
    while path:
        step = _step(node, path)
        if step is None:
            break
        mark, node, path = step
    return Position(mark.line + 1, mark.column + 1)


def _step(node: yaml.Node, path: str) -> tuple[yaml.Mark, yaml.Node, str] | None:
    """Return the mark of the next part of the path, the node below it, and the rest; None if it is not there."""
    if isinstance(node, yaml.SequenceNode):
        element = _ELEMENT.match(path)
        if element is None or int(element[1]) >= len(node.value):
            return None
        found = node.value[int(element[1])]
        return found.start_mark, found, path[element.end() :]
    if not isinstance(node, yaml.MappingNode):
        return None
    path = path.removeprefix(".")
    keys: Mapping[str, tuple[yaml.Node, yaml.Node]] = {str(key.value): (key, value) for key, value in node.value}
    # a key may hold dots itself: the longest that fits is meant
    for name in sorted(keys, key=len, reverse=True):
        rest = path[len(name) :]
        if path.startswith(name) and (not rest or rest[0] in ".["):
            key, value = keys[name]
            return key.start_mark, value, rest
    return None
