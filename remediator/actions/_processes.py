"""What the actions on processes share: from candidates to a plan, and from endings to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event

from remediator.errors import Refused
from remediator.model import Context, Json, Plan
from remediator.policy import Door, Policy
from remediator.signals import Ending, Gone, Held, Identity, Patience, end, hold
from selfheal.common.processes import Grouping, Process, members
from selfheal.common.procfs import TICKS_PER_SECOND

MOST_PROCESSES = 256
"""Processes in one plan: each is held by a file descriptor of its own."""
SHOWN = 20
"""Refusals told in full; of the others only the number."""
SAMPLE_SECONDS = 0.5
"""Between the two readings that a CPU share is made of."""

WORKING = frozenset("RD")
"""States of a process that has something to do (proc_pid_stat(5))."""

Chosen = list[tuple[Process, Json]]
"""Processes, the worst first, each with why it was chosen."""


def grouping_of(policy: Policy, group: str) -> Grouping:
    """Return the known groups. Raise Refused if the policy does not permit this one."""
    refusal = policy.may_group(group)
    if refusal is not None:
        raise policy.refused(Door.SIGNALS, refusal)
    return policy.grouping


def largest(policy: Policy, grouping: Grouping, group: str, limit: int | None) -> Chosen:
    """Return the group's members above `limit` resident bytes (all without a limit), the largest first."""
    found = members(policy.procfs, grouping).get(group, ())
    chosen = [process for process in found if limit is None or process.resident_bytes > limit]
    chosen.sort(key=lambda process: process.resident_bytes, reverse=True)
    return [(process, {"resident_bytes": process.resident_bytes}) for process in chosen]


def busiest(context: Context, grouping: Grouping, group: str, limit: float) -> Chosen:
    """Return the group's members that used more than `limit` cores between two readings, the busiest first."""
    used = _used_cores(context, grouping, group)
    chosen = sorted((process for process in used if used[process] > limit), key=used.__getitem__, reverse=True)
    return [(process, {"cpu_cores": round(used[process], 3)}) for process in chosen]


def idle(chosen: Chosen, context: Context, grouping: Grouping, group: str, limit: float) -> Chosen:
    """Of chosen members return, in their order, those that used fewer than `limit` cores between two readings.

    Who runs, or waits for a disk or for memory that was swapped out, is not idle.
    """
    if not chosen:
        return []
    used = {
        (process.pid, process.start_ticks): limit if process.state in WORKING else cores
        for process, cores in _used_cores(context, grouping, group).items()
    }
    cores = [(process, why, used.get((process.pid, process.start_ticks), limit)) for process, why in chosen]
    return [(process, {**why, "cpu_cores": round(share, 3)}) for process, why, share in cores if share < limit]


def _used_cores(context: Context, grouping: Grouping, group: str) -> Mapping[Process, float]:
    """Return how many cores each member used between two readings; those that were not in both are left out."""
    read: Callable[[], tuple[Process, ...]] = lambda: members(context.policy.procfs, grouping).get(group, ())  # noqa: E731
    begun = context.monotonic()
    before = {(process.pid, process.start_ticks): process.cpu_ticks for process in read()}
    if not before:
        return {}
    Event().wait(SAMPLE_SECONDS)
    after = read()
    seconds = max(context.monotonic() - begun, SAMPLE_SECONDS)
    return {
        process: (process.cpu_ticks - before[(process.pid, process.start_ticks)]) / TICKS_PER_SECOND / seconds
        for process in after
        if (process.pid, process.start_ticks) in before
    }


def permitted(candidates: Iterable[tuple[Identity, Json]], policy: Policy) -> Plan:
    """Given identities, most important first, each with more to note, return a plan of those that may be signalled.

    Raise Refused if there are candidates and none may be.
    """
    items: list[Json] = []
    refused: list[Json] = []
    beyond = 0
    for identity, more in candidates:
        if len(items) == MOST_PROCESSES:
            beyond += 1
            continue
        try:
            with hold(identity, policy):
                items.append({**identity.to_item(), **more})
        except Gone:
            continue
        except Refused as error:
            refused.append({"pid": identity.pid, "why": error.detail})
    if refused and not items:
        raise Refused(f"none of {len(refused)} processes may be signalled; the first: {refused[0]['why']}")
    return Plan(tuple(items), left_out(refused, beyond))


def left_out(refused: Sequence[Json], beyond: int = 0) -> Json:
    """Say what a plan or an outcome does not hold, and why; empty if nothing was left out."""
    detail: Json = {}
    if refused:
        detail |= {"refused": list(refused[:SHOWN]), "refused_count": len(refused)}
    if beyond:
        detail["beyond_limit"] = beyond
    return detail


def patience(grace: float, context: Context) -> Patience:
    """Return how long an ending may take under this context."""
    return Patience(grace, context.deadline, context.monotonic)


def end_all(held: Sequence[Held], grace: float, context: Context) -> tuple[list[Json], Json]:
    """End every held process and return the effects, and what went otherwise than wanted (empty: nothing)."""
    endings: list[Ending] = end(held, patience(grace, context))
    effects = [ending.to_effect() for ending in endings if ending.sent]
    detail: Json = {}
    alive = [ending.held.identity.pid for ending in endings if not ending.ended]
    forbidden = [ending.refused for ending in endings if ending.refused]
    if alive:
        detail["still_there"] = alive
    if forbidden:
        detail["kernel_refused"] = forbidden
    return effects, detail


def none_may(refused: Sequence[Json]) -> Refused:
    """Return the error for a stored plan of which nothing may be done any more."""
    return Refused(f"none of the planned processes may be signalled any more; the first: {refused[0]['why']}")
