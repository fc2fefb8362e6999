"""Maintenance windows that would hold nothing: a pattern in them fits no playbook, or no target of this host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from remediator.check.world import World
from selfheal.common.problems import Problem

name = "windows"


def check(world: World) -> Iterator[Problem]:
    """Yield an error for a pattern that fits no playbook, a warning for a target's: several hosts may share a file."""
    if world.config is None:
        return
    names = [playbook.name for playbook in world.playbooks]
    host = world.config.host.name
    for number, window in enumerate(world.config.windows):
        for index, pattern in enumerate(window.playbooks):
            if world.complete and not any(fnmatchcase(each, pattern) for each in names):
                what = f"{pattern!r} fits no playbook, so window {window.name!r} holds nothing by it"
                at = f"windows[{number}].playbooks[{index}]"
                yield Problem(str(world.config.file), at, what, f"known are {', '.join(names)}")
        for index, pattern in enumerate(window.targets):
            if not _may_be_of(host, pattern):
                what = f"{pattern!r} fits no target of this host, so window {window.name!r} holds nothing by it"
                at = f"windows[{number}].targets[{index}]"
                yield Problem(
                    str(world.config.file), at, what, f"targets are HOST/KIND:NAME, for example {host}/*", "warning"
                )


def _may_be_of(host: str, pattern: str) -> bool:
    """Say whether what stands before the first wildcard can begin a target of the host."""
    begins = re.split(r"[*?\[]", pattern)[0]
    return begins.startswith(f"{host}/") or (begins != pattern and f"{host}/".startswith(begins))
