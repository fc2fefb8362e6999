"""What the actions on priorities share: which threads are planned, what was set, and how it is taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remediator.actions import _processes
from remediator.errors import Refused
from remediator.model import Context, Json, Outcome, Plan
from remediator.priorities import Priority, Thread, change, threads_of
from remediator.signals import Identity, hold_all, identify
from selfheal.common.processes import Process

MOST_THREADS = 4096
"""Threads in one plan; processes beyond them are told as a number."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One priority as a playbook wants it: its kind, the key it has in plans, and its value."""

    priority: Priority
    key: str
    value: int


def plan(found: Iterable[tuple[Process, Json]], group: str, setting: Setting, context: Context) -> Plan:
    """Given processes of a group, each with more to note, list those with threads more urgent than is wanted.

    Nothing is ever made more urgent. Raise Refused if the policy forbids every one of them.
    """
    policy = context.policy
    candidates: list[tuple[Identity, Json]] = []
    left, beyond = MOST_THREADS, 0
    for process, more in found:
        threads = threads_of(policy.procfs, process.pid, setting.priority, before=setting.value)
        if len(threads) > left:
            beyond += 1
        elif threads:
            left -= len(threads)
            listed = {setting.key: setting.value, "threads": [thread.to_item() for thread in threads]}
            candidates.append((identify(process, group, policy.procfs), {**more, **listed}))
    chosen = _processes.permitted(candidates, policy)
    detail: Json = {**chosen.detail, "group": group, setting.key: setting.value}
    if beyond:
        detail["beyond_limit"] = int(detail.get("beyond_limit", 0)) + beyond
    return Plan(chosen.items, detail)


def run(plan: Plan, setting: Setting, context: Context) -> Outcome:
    """Given a stored plan, set exactly its threads; those that ended or were set otherwise since are left alone.

    Raise Refused if processes of it are left and none may be touched any more.
    """
    return _set(plan.items, setting, context, back=False)


def undo(outcome: Outcome, setting: Setting, context: Context) -> Outcome:
    """Given what was done of a plan, give exactly those threads what they had; others' changes since stay."""
    return _set(outcome.effects, setting, context, back=True)


def _set(items: Sequence[Json], setting: Setting, context: Context, *, back: bool) -> Outcome:
    planned = {Identity.of_item(item): [Thread.of_item(each) for each in _threads(item)] for item in items}
    effects: list[Json] = []
    alone: list[Json] = []
    forbidden: list[Json] = []
    with hold_all(list(planned), context.policy) as (held, refused):
        if refused and not held:
            raise _processes.none_may(refused)
        context.reached("effect_begun")
        for one in held:
            changed: list[Json] = []
            for thread in planned[one.identity]:
                now, wanted = (setting.value, thread.value) if back else (thread.value, setting.value)
                expected = Thread(thread.tid, thread.start_ticks, now)
                try:
                    why = change(one, expected, setting.priority, wanted, context.policy)
                except Refused as error:
                    forbidden.append({"pid": one.identity.pid, "why": error.detail})
                    break
                if why is None:
                    changed.append(thread.to_item())
                else:
                    alone.append({"pid": one.identity.pid, "tid": thread.tid, "why": why})
            if changed:
                effects.append({**one.identity.to_item(), setting.key: setting.value, "threads": changed})
        context.reached("effect_done")
    detail: Json = _processes.left_out([*refused, *forbidden])
    if alone:
        detail |= {"left_alone": alone[: _processes.SHOWN], "left_alone_count": len(alone)}
    return Outcome(not forbidden, tuple(effects), detail)


def _threads(item: Json) -> list[Json]:
    threads = item.get("threads")
    if not isinstance(threads, list):
        raise Refused(f"the stored plan names no threads: {item!r:.200}")
    return threads
