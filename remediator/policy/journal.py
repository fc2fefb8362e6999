"""The journal of systemd: how much of it always stays, and where it lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from remediator.policy.refusals import Door

if TYPE_CHECKING:
    from remediator.policy import Policy

DIRECTORY = "/var/log/journal"
_MACHINE = re.compile(r"[0-9a-f]{32}(\.[A-Za-z0-9_.@-]{1,128})?")


@dataclass(frozen=True, slots=True)
class Journal:
    """What `journal:` permits: of each folder `floor` bytes always stay, and what was written within `keep` seconds."""

    floor: int
    keep: float
    directory: str = DIRECTORY


def is_machine(folder: str) -> bool:
    """Say whether a folder's name is that of a machine's journal, perhaps with a namespace (sd-journal(3))."""
    return _MACHINE.fullmatch(folder) is not None


def rule_of(policy: Policy) -> Journal:
    """Return what the policy says of the journal. Raise Refused if it says nothing."""
    if policy.problem is not None:
        raise policy.refused(Door.SHELL, str(policy.problem))
    if policy.journal is None:
        what = f"the journal is not permitted; write journal: {{floor: 100MiB, keep: 1d}} in {policy.source}"
        raise policy.refused(Door.SHELL, what)
    return policy.journal


def folder_of(policy: Policy, folder: str) -> Journal:
    """Given a folder of the journal, return the policy's rule. Raise Refused if it is none of the policy's."""
    rule = rule_of(policy)
    path = PurePosixPath(folder)
    if str(path) != rule.directory and not (str(path.parent) == rule.directory and is_machine(path.name)):
        raise policy.refused(Door.SHELL, f"{folder!r:.200} is no folder of the journal in {rule.directory}")
    return rule
