"""Lists the processes that use most memory or CPU, of the host or of one group; never their arguments: secrets."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Any

from remediator.model import Argument, ArgumentType, Context, Json
from selfheal.common.processes import Process, members, snapshot
from selfheal.common.procfs import TICKS_PER_SECOND

name = "process.top"
arguments: Mapping[str, Argument] = {
    "by": Argument(ArgumentType.TEXT, default="rss"),
    "count": Argument(ArgumentType.NUMBER, default=10),
    "group": Argument(ArgumentType.GROUP),
}

MOST = 50
"""Processes listed at most."""
SAMPLE_SECONDS = 0.5
"""Between the two readings that a CPU share is made of."""


def combination_problem(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments that are right one by one, or None."""
    if values["by"] not in ("rss", "cpu"):
        return f"by is {values['by']!r:.80}; write rss or cpu"
    if not 1 <= values["count"] <= MOST:
        return f"count must be from 1 to {MOST}; mend it"
    return None


def run(arguments: Mapping[str, Any], context: Context) -> Json:
    """Return the first `count` processes by resident bytes or by cores used between two readings. Raise OSError."""
    before = {(process.pid, process.start_ticks): process for process in _read(arguments["group"], context)}
    cores: dict[int, float] = {}
    if arguments["by"] == "cpu":
        cores, before = _cores(before, arguments["group"], context)

    def size(process: Process) -> float:
        return cores.get(process.pid, 0.0) if arguments["by"] == "cpu" else process.resident_bytes

    found = sorted(before.values(), key=size, reverse=True)
    return {
        "processes": [_told(process, cores) for process in found[: int(arguments["count"])]],
        "count": len(found),
        "by": arguments["by"],
    }


def _read(group: str | None, context: Context) -> list[Process]:
    if group is None:
        return list(snapshot(context.procfs).values())
    return list(members(context.procfs, context.policy.grouping).get(group, ()))


def _cores(
    before: Mapping[tuple[int, int], Process], group: str | None, context: Context
) -> tuple[dict[int, float], dict[tuple[int, int], Process]]:
    """Read again after a while; return the cores that each process used meanwhile, and the second reading."""
    begun = context.monotonic()
    Event().wait(max(0.05, min(SAMPLE_SECONDS, (context.deadline - begun) / 2)))
    after = {(process.pid, process.start_ticks): process for process in _read(group, context)}
    seconds = max(context.monotonic() - begun, 0.05)
    return {
        process.pid: (process.cpu_ticks - before[identity].cpu_ticks) / TICKS_PER_SECOND / seconds
        for identity, process in after.items()
        if identity in before
    }, after


def _told(process: Process, cores: Mapping[int, float]) -> Json:
    told: Json = {
        "pid": process.pid,
        "comm": process.comm,
        "uid": process.uid,
        "state": process.state,
        "resident_bytes": process.resident_bytes,
        "threads": process.threads,
    }
    return {**told, "cores": round(cores[process.pid], 3)} if process.pid in cores else told
