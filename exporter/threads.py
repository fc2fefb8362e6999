"""What the threads of a group's members use, by the name of the thread; kept only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from operator import add

from exporter.accounts import Counters, growth
from exporter.procfs.record import Record

Seen = dict[tuple[int, int], Counters]
"""The counters of each thread of one process when they were last counted, by its id and start."""

_COUNTERS = 8


def count_threads(record: Record, seen: Seen, totals: dict[str, list[int]]) -> Seen:
    """Given a process, its threads as last seen and a group's totals by name, add what each used; return them as seen.

    A thread that is seen for the first time adds nothing, and a process with one thread has none to tell apart.
    """
    now: Seen = {}
    for thread in record.thread_list:
        key = thread.tid, thread.start_ticks
        total = totals.setdefault(thread.name, [0] * _COUNTERS)
        last = seen.get(key)
        if last is not None:
            total[:] = map(add, total, growth(thread.counters, last))
        now[key] = thread.counters
    return now


def count_by_name(members: Iterable[Record]) -> dict[str, int]:
    """Given members, return how many threads bear each name."""
    counts: dict[str, int] = {}
    for record in members:
        for thread in record.thread_list:
            counts[thread.name] = counts.get(thread.name, 0) + 1
    return counts


def count_wchans(members: Iterable[Record]) -> dict[str, int]:
    """Given members, return how many threads wait at each place in the kernel."""
    counts: dict[str, int] = {}
    for record in members:
        for wchan in record.wchans:
            counts[wchan] = counts.get(wchan, 0) + 1
    return counts


def forget_ended(totals: dict[str, list[int]], alive: dict[str, int]) -> None:
    """Forget the totals of names that no thread bears any more: their series end with them."""
    for name in totals.keys() - alive.keys():
        del totals[name]
