"""Which process belongs to which group now, and what each group has used and uses.

Kept from look to look by differences alone: a look in which little happened costs little, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.accounts import Counters, first_share, growth
from exporter.group import Group, share_of
from exporter.procfs.processes import Look, ProcessTable
from exporter.procfs.record import Record
from exporter.threads import Seen, count_threads
from selfheal.common.processes import nearest_groups

OTHER = "other"
"""The group of those whose own group is one too many."""

_NO_THREADS: Seen = {}


class _Seat:
    """What a group knows of one process, as long as that lives."""

    __slots__ = ("away", "counted", "group", "is_new", "own", "parent", "record", "share", "threads", "version")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.version = -1
        self.parent = record.stat.ppid
        self.own: str | None = None
        self.group: Group | None = None
        self.is_new = True
        self.away = False
        self.share: tuple[int, ...] = ()
        self.counted: Counters = ()
        self.threads: Seen = _NO_THREADS


@dataclass(frozen=True, slots=True)
class Rules:
    """How processes are grouped, and how many groups there may be for how long."""

    match: Callable[[Record], str | None]
    literal: tuple[str, ...]
    born_after_ticks: int = 0
    children: bool = True
    always: bool = False
    """Whether a process can match otherwise although its name and arguments are the same."""
    most: int = 1000
    grace_seconds: float = 300.0
    threads: bool = False


class Groups:
    """All groups, brought up to date look by look: `assign`, then the table completes whom it names, then `settle`."""

    def __init__(self, table: ProcessTable, rules: Rules) -> None:
        self._table = table
        self._rules = rules
        self._seats: dict[int, _Seat] = {}
        self._groups = {name: Group(name, True) for name in rules.literal}
        self._moved = False

    def assign(self, look: Look) -> list[Record]:
        """Given a look, find each process's group; return those that have just become members."""
        for record in look.gone:
            self._remove(record)
        for record in look.broken:
            self._send_away(record)
        returned = []
        for record in look.changed:
            seat = self._seats.get(record.pid)
            if seat is None or seat.record is not record:
                continue
            self._notice(seat)
            if seat.away:
                returned.append(seat)
        fresh = [self._sit(record) for record in look.born]
        if self._moved:
            self._moved = False
            return self._assign_all()
        return self._assign_some([*fresh, *returned])

    def settle(self, look: Look, joined: Iterable[Record]) -> None:
        """Given the look, now complete, and the new members, bring the accounts up to date."""
        for record in look.gone:
            self._remove(record)
        for record in look.broken:
            self._send_away(record)
        for records in (look.changed, look.resized, joined):
            for record in records:
                seat = self._seats.get(record.pid)
                if seat is not None and seat.group is not None and not record.unreadable:
                    self._settle(seat, seat.group)
        self._count_zombies()

    def present(self, now: float) -> list[Group]:
        """Return the groups to show: literal ones for ever, the others until some time after their last member."""
        for group in list(self._groups.values()):
            if group.literal or group.members or group.zombies:
                group.empty_since = None
            elif group.empty_since is None:
                group.empty_since = now
            if group.empty_since is not None and now - group.empty_since > self._rules.grace_seconds:
                del self._groups[group.name]
                # there is room for one that had none
                self._moved = True
        return list(self._groups.values())

    def folded(self) -> int:
        """Return how many groups there would be besides, if there were room for them."""
        other = self._groups.get(OTHER)
        if other is None:
            return 0
        own = {self._seats[pid].own for pid in other.members}
        return len(own - self._groups.keys() - {None})

    def _sit(self, record: Record) -> _Seat:
        seat = self._seats[record.pid] = _Seat(record)
        self._match(seat)
        return seat

    def _match(self, seat: _Seat) -> None:
        seat.version = seat.record.version
        seat.own = None if seat.record.is_zombie else self._rules.match(seat.record)

    def _notice(self, seat: _Seat) -> None:
        """Match one that was read again, if it may be another program now, and see whether it moved in its family."""
        record, own = seat.record, seat.own
        if record.is_zombie:
            # it has no children any more, so nobody else moves with it
            seat.own = None
            self._place(seat, None)
            return
        if self._rules.always or seat.version != record.version:
            self._match(seat)
        if seat.own != own or seat.parent != record.stat.ppid:
            seat.parent = record.stat.ppid
            self._moved = True

    def _assign_all(self) -> list[Record]:
        own = {pid: seat.own for pid, seat in self._seats.items()}
        if self._rules.children:
            found = nearest_groups(own, {pid: seat.parent for pid, seat in self._seats.items()})
        else:
            found = {pid: name for pid, name in own.items() if name is not None}
        joined = []
        for pid, seat in self._seats.items():
            name = None if seat.record.is_zombie or seat.record.unreadable else found.get(pid)
            if self._place(seat, None if name is None else self._group(name)):
                joined.append(seat.record)
        return joined

    def _assign_some(self, seats: Sequence[_Seat]) -> list[Record]:
        joined = []
        for seat in seats:
            group = None if seat.record.is_zombie else self._nearest(seat)
            if self._place(seat, group):
                joined.append(seat.record)
        return joined

    def _nearest(self, seat: _Seat) -> Group | None:
        passed = set()
        current: _Seat | None = seat
        while current is not None and current.record.pid not in passed:
            if current.own is not None:
                return self._group(current.own)
            if not self._rules.children:
                return None
            if not current.is_new and not current.away:
                return current.group
            # a parent that is as new as its child stands on the way; a torn reading can lead round in a circle
            passed.add(current.record.pid)
            current = self._seats.get(current.parent)
        return None

    def _group(self, name: str) -> Group:
        group = self._groups.get(name)
        if group is None:
            # theirs is not one of the groups that there may be
            if len(self._groups) - (OTHER in self._groups) >= self._rules.most:
                name = OTHER
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = Group(name, False)
        return group

    def _place(self, seat: _Seat, group: Group | None) -> bool:
        """Put a process into its group; say whether it is a member that was none before."""
        before, seat.is_new, seat.away = seat.group, False, False
        if before is group:
            return False
        if before is not None:
            self._leave(seat, before)
        seat.group = group
        seat.record.member = group is not None
        if group is not None:
            group.members[seat.record.pid] = seat.record
            group.changed = True
        return group is not None

    def _leave(self, seat: _Seat, group: Group) -> None:
        record = seat.record
        if record.is_zombie:
            # what it did last is the group's still
            self._count(seat, group)
        if seat.share:
            group.account.leave(seat.share)
            seat.share = ()
        del group.members[record.pid]
        group.changed = True
        seat.group = None

    def _remove(self, record: Record) -> None:
        seat = self._seats.get(record.pid)
        if seat is None or seat.record is not record:
            return
        if seat.group is not None:
            self._leave(seat, seat.group)
        del self._seats[record.pid]

    def _send_away(self, record: Record) -> None:
        seat = self._seats.get(record.pid)
        if seat is not None and seat.group is not None:
            self._leave(seat, seat.group)
        if seat is not None:
            seat.away = True

    def _settle(self, seat: _Seat, group: Group) -> None:
        share = share_of(seat.record)
        if share != seat.share:
            if seat.share:
                group.account.move(share, seat.share)
            else:
                group.account.enter(share)
            seat.share = share
        group.changed = True
        self._count(seat, group)

    def _count(self, seat: _Seat, group: Group) -> None:
        counters = seat.record.counters
        if counters is seat.counted or not counters:
            return
        if seat.counted:
            group.account.grow(growth(counters, seat.counted))
        else:
            born_since = seat.record.stat.start_ticks > self._rules.born_after_ticks
            group.account.grow(tuple(max(0, one) for one in first_share(counters, born_since)))
        seat.counted = counters
        if self._rules.threads:
            seat.threads = count_threads(seat.record, seat.threads, group.thread_totals)

    def _count_zombies(self) -> None:
        counts: dict[int, int] = {}
        for pid in self._table.zombies:
            parent = self._seats.get(self._table.records[pid].stat.ppid)
            if parent is not None and parent.group is not None:
                counts[id(parent.group)] = counts.get(id(parent.group), 0) + 1
        for group in self._groups.values():
            zombies = counts.get(id(group), 0)
            if zombies != group.zombies:
                group.zombies = zombies
                group.changed = True
