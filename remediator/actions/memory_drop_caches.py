"""Drops the clean pages of the page cache. It seldom helps: the kernel gives them up by itself when memory is short."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remediator.errors import Refused
from remediator.kernel import drop_caches, may_drop_caches
from remediator.model import Argument, Context, Effect, Outcome, Plan

name = "memory.drop_caches"
version = 1
effect = Effect.DESTRUCTIVE
"""Nothing is lost, but every program that had files in memory waits for the disk again."""
idempotent = True
arguments: Mapping[str, Argument] = {}

_SHOWN = ("MemAvailable", "MemFree", "Cached", "Buffers", "Dirty", "Shmem")


def plan(arguments: Mapping[str, Any], context: Context) -> Plan:  # noqa: ARG001 - it has none
    """Return what the page cache holds that could be dropped: not what is still to be written, and no files in memory.

    Raise Refused if the policy does not permit it, or the kernel does not let us.
    """
    may_drop_caches(context.policy)
    now = _meminfo(context.policy.procfs)
    droppable = max(0, now["Cached"] + now["Buffers"] - now["Dirty"] - now["Shmem"])
    item = {"kind": "memory", "name": "page cache", "bytes": droppable}
    return Plan((item,) if droppable else (), {"before": now})


def run(plan: Plan, context: Context) -> Outcome:
    """Drop them, and tell memory before and after. Raise Refused if it is not permitted any more."""
    if [(item.get("kind"), item.get("name")) for item in plan.items] != [("memory", "page cache")]:
        raise Refused(f"the stored plan names no page cache: {plan.items!r:.200}")
    procfs = context.policy.procfs
    may_drop_caches(context.policy)
    before = _meminfo(procfs)
    context.reached("effect_begun")
    drop_caches(context.policy)
    context.reached("effect_done")
    after = _meminfo(procfs)
    effect = {"kind": "memory", "name": "page cache", "bytes": max(0, before["Cached"] - after["Cached"])}
    gained = after["MemAvailable"] - before["MemAvailable"]
    return Outcome(True, (effect,), {"before": before, "after": after, "available_gained_bytes": gained})


def _meminfo(procfs: Path) -> dict[str, int]:
    """Return bytes by name (proc_meminfo(5)). Raise OSError if it cannot be read."""
    lines = (procfs / "meminfo").read_text("ascii", "replace").splitlines()
    found = {line.partition(":")[0]: line.split()[1] for line in lines if len(line.split()) > 1}
    return {name: int(found.get(name, "0")) * 1024 for name in _SHOWN}
