"""One rule that names a group: which processes it matches, and what it calls them, as process-exporter has it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from selfheal.common.procfs import MOST_ARGUMENT_BYTES, Process
from selfheal.common.re2 import Expression

FIELDS = (".Comm", ".ExeBase", ".ExeFull", ".Username", ".PID", ".StartTime", ".Cgroups")
TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_MAPPED = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `process_names`: all the selectors it has must match."""

    name: str
    comm: frozenset[str]
    exe: frozenset[str]
    cmdline: tuple[Expression, ...]
    mapped: Expression | None = None
    """Of `--namemapping`: the first capture that holds something is added to the name, and there must be one."""

    def match(self, process: Process) -> dict[str, str] | None:
        """Given a process, return the named captures if every selector matches, else None."""
        if self.comm and process.comm not in self.comm:
            return None
        if self.exe and not self._is_exe(process.argv):
            return None
        captures: dict[str, str] = {}
        # psutil hands out all of them
        line = " ".join(process.argv)[:MOST_ARGUMENT_BYTES]
        for expression in self.cmdline:
            found = expression.captures(line)
            if found is None:
                return None
            captures |= found
        if self.mapped is None:
            return captures
        part = next(filter(None, self.mapped.search(line) or ()), None)
        return None if part is None else {_MAPPED: part}

    def uses(self, field: str) -> bool:
        """Say whether the name holds a field, so that a reader may leave it unread if not."""
        return field in map(str.strip, TEMPLATE.findall(self.name))

    def _is_exe(self, argv: tuple[str, ...]) -> bool:
        # a selector with a slash means the whole first argument, one without means its last component
        return bool(argv) and (argv[0] in self.exe or _base(argv[0]) in self.exe)

    @property
    def is_literal(self) -> bool:
        """Say whether the name is the same for every process."""
        return "{{" not in self.name and self.mapped is None

    def render(self, process: Process, captures: Mapping[str, str]) -> str:
        """Given a matched process and its captures, return the name of its group."""
        if self.mapped is not None:
            return f"{self.name}:{captures[_MAPPED]}"
        if self.is_literal:
            return self.name
        return TEMPLATE.sub(lambda found: _value(found[1].strip(), process, captures), self.name)


def _base(path: str) -> str:
    # as Go's filepath.Base: trailing slashes do not count, and Windows has two kinds of them
    return os.path.basename(path.rstrip(f"{os.sep}{os.altsep or ''}")) or path  # noqa: PTH119 - a Path drops too much


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
            return process.user or _user_name(process.uid)
        case ".StartTime":
            return _go_time(process.started)
        case ".Cgroups":
            # as Go prints a list
            return f"[{' '.join(process.cgroups)}]"
    return captures.get(expression.removeprefix(".Matches."), "")


def _user_name(uid: int) -> str:
    # not above: only POSIX has it
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _go_time(seconds: float) -> str:
    """Given seconds since the epoch, return them as Go prints a time in UTC; the kernel tells hundredths."""
    moment = datetime.fromtimestamp(round(seconds, 2), UTC)
    fraction = f".{round(moment.microsecond / 10_000):02d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"
