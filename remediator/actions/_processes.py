"""What the actions on processes share: from candidates to a plan, and from endings to an outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from remediator.errors import Refused
from remediator.model import Context, Json, Plan
from remediator.policy import Door, Policy
from remediator.signals import Ending, Gone, Held, Identity, Patience, end, hold
from selfheal.common.processes import Grouping

MOST_PROCESSES = 256
"""Processes in one plan: each is held by a file descriptor of its own."""
SHOWN = 20
"""Refusals told in full; of the others only the number."""


def grouping_of(policy: Policy, group: str) -> Grouping:
    """Return the known groups. Raise Refused if the policy does not permit this one."""
    refusal = policy.may_group(group)
    if refusal is not None:
        raise policy.refused(Door.SIGNALS, refusal)
    return policy.grouping


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
