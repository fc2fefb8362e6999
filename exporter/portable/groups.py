"""The groups of processes and what they have used: looked at anew each time, totals kept from look to look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

from exporter.accounts import Account, Counters, first_share, growth
from exporter.groups import OTHER
from exporter.portable.members import Listed, Member, is_same, list_processes, read_member
from selfheal.common.processes import Grouping, nearest_groups

_COUNTERS = 6


@dataclass(frozen=True, slots=True)
class Rules:
    """How processes are grouped, and how many groups there may be for how long."""

    grouping: Grouping
    children: bool
    most: int
    grace_seconds: float


@dataclass(slots=True)
class Group:
    """One group: who its members are now, and what all that were have used."""

    literal: bool
    members: list[Member] = field(default_factory=list)
    account: Account = field(default_factory=lambda: Account(_COUNTERS, 0))
    zombies: int = 0
    empty_since: float | None = None


@dataclass(slots=True)
class _Seat:
    """One process as long as it lives: since when we know it, and what of it has been counted."""

    listed: Listed
    born_since: bool
    """Whether it began after we did: who was there before has used what it has used, and who knows when."""
    counted: Counters = ()


class Groups:
    """All groups, brought up to date by each look."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._seats: dict[int, _Seat] | None = None
        self._groups = {name: Group(literal=True) for name in rules.grouping.names()}
        self.zombies = 0
        self.unreadable = 0
        """Processes that could not be read in the last look."""
        self.hidden = 0
        """Parts of members that could not be read in the last look for want of rights."""
        self._folded: set[str] = set()

    @property
    def folded(self) -> int:
        """How many groups there would be besides, if there were room for them."""
        return len(self._folded)

    def look(self, now: float) -> dict[str, Group]:
        """Given the monotonic time, read all processes and return the groups by name.

        Raise OSError or psutil.Error if the processes cannot be listed.
        """
        found, self.unreadable = list_processes(self._rules.grouping)
        seats = self._seat(found)
        self.hidden = 0
        self._folded.clear()
        for group in self._groups.values():
            group.members, group.zombies = [], 0
        names = self._names(found)
        for pid, name in names.items():
            if not found[pid].is_zombie:
                self._count(seats[pid], name)
        self._count_zombies(found, names)
        self._forget(now)
        return self._groups

    def _seat(self, found: Mapping[int, Listed]) -> dict[int, _Seat]:
        before = self._seats
        seats: dict[int, _Seat] = {}
        for pid, listed in found.items():
            seat = None if before is None else before.get(pid)
            if seat is None or not is_same(listed, seat.listed):
                seat = _Seat(listed, born_since=before is not None)
            seat.listed = listed
            seats[pid] = seat
        self._seats = seats
        return seats

    def _names(self, found: Mapping[int, Listed]) -> dict[int, str]:
        own = {pid: listed.own for pid, listed in found.items()}
        if self._rules.children:
            return nearest_groups(own, {pid: listed.parent for pid, listed in found.items()})
        return {pid: name for pid, name in own.items() if name is not None}

    def _count(self, seat: _Seat, name: str) -> None:
        try:
            member = read_member(seat.listed.process)
        except psutil.NoSuchProcess:
            # it ended since it was listed
            return
        except (psutil.Error, OSError):
            self.unreadable += 1
            return
        group = self._room_for(name)
        group.members.append(member)
        self.hidden += member.hidden
        if seat.counted:
            group.account.grow(growth(member.counters, seat.counted))
        else:
            group.account.grow(tuple(max(0, one) for one in first_share(member.counters, seat.born_since)))
        seat.counted = member.counters

    def _room_for(self, name: str) -> Group:
        if name not in self._groups and len(self._groups) >= self._rules.most:
            self._folded.add(name)
            name = OTHER
        return self._groups.setdefault(name, Group(literal=False))

    def _count_zombies(self, found: Mapping[int, Listed], names: Mapping[int, str]) -> None:
        zombies = [listed for listed in found.values() if listed.is_zombie]
        self.zombies = len(zombies)
        for listed in zombies:
            parent = found.get(listed.parent)
            group = self._groups.get(names.get(listed.parent, ""))
            if parent is not None and not parent.is_zombie and group is not None:
                group.zombies += 1

    def _forget(self, now: float) -> None:
        for name, group in list(self._groups.items()):
            if group.literal or group.members or group.zombies:
                group.empty_since = None
            elif group.empty_since is None:
                group.empty_since = now
            if group.empty_since is not None and now - group.empty_since > self._rules.grace_seconds:
                del self._groups[name]
