"""One group of processes as it is now, and what one process adds to it."""

from __future__ import annotations

from typing import NamedTuple

from exporter.accounts import Account
from exporter.procfs.record import Record

COUNTERS = 8
"""How many counters each process has; their order is that of `Record.counters`."""


class Sums(NamedTuple):
    """What is summed over the living members of a group; the last five are threads by state."""

    processes: int = 0
    resident_pages: int = 0
    virtual_bytes: int = 0
    swapped_bytes: int = 0
    threads: int = 0
    open_files: int = 0
    running: int = 0
    sleeping: int = 0
    waiting: int = 0
    zombie: int = 0
    other: int = 0


class Group:
    """One group: its members, its account, and whether anything of it has changed since it was last rendered."""

    __slots__ = (
        "account", "changed", "empty_since", "literal", "members", "name", "rendered", "thread_totals", "zombies",
    )  # fmt: skip

    def __init__(self, name: str, literal: bool) -> None:
        self.name = name
        self.literal = literal
        self.members: dict[int, Record] = {}
        self.account = Account(COUNTERS, len(Sums()))
        self.thread_totals: dict[str, list[int]] = {}
        self.zombies = 0
        self.changed = True
        self.empty_since: float | None = None
        self.rendered: tuple[str, ...] = ()

    @property
    def sums(self) -> Sums:
        """The sums over the living members."""
        return Sums(*self.account.sums)


# of almost all processes the states of the threads are the same few
_of_states: dict[str, tuple[int, ...]] = {}


def share_of(record: Record) -> tuple[int, ...]:
    """Given a member, return what it adds to the sums, in the order of `Sums`."""
    stat = record.stat
    states = _of_states.get(record.thread_states) or _count_states(record.thread_states)
    return (
        1, record.resident_pages, stat.virtual_bytes, record.swapped_bytes, stat.threads, max(record.open_files, 0),
        *states,
    )  # fmt: skip


def _count_states(states: str) -> tuple[int, ...]:
    known = tuple(states.count(state) for state in "RSDZ")
    counts = *known, len(states) - sum(known)
    if len(states) == 1:
        _of_states[states] = counts
    return counts
