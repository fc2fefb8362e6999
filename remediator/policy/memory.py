"""Memory of the whole host and of units: what may be given back to the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remediator.policy.refusals import Door

if TYPE_CHECKING:
    from remediator.policy import Policy

RECLAIM = "reclaim"
"""The verb of a unit that lets its memory be reclaimed; systemd knows no such verb."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What `memory:` permits."""

    drop_caches: bool = False


def permitted(policy: Policy) -> None:
    """Return if the page cache may be dropped. Raise Refused if not."""
    found = refusal(policy)
    if found is not None:
        raise policy.refused(Door.KERNEL, found)


def refusal(policy: Policy) -> str | None:
    """Return why the page cache may not be dropped, or None."""
    if policy.problem is not None:
        return str(policy.problem)
    if policy.memory.drop_caches:
        return None
    return f"dropping caches is not permitted; write memory: {{drop_caches: true}} in {policy.source}"
