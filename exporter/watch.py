"""One look at the processes per scrape, shared by all collectors that need it, and what follows from look to look."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

from exporter.groups import Groups, Rules
from exporter.procfs.host import read_uptime
from exporter.procfs.processes import Look, ProcessTable
from exporter.procfs.record import Wanted
from exporter.settings import Settings
from exporter.tops import Tops
from selfheal.common.procfs import TICKS_PER_SECOND, boot_time

# a look that another collector took within this time is of the same scrape
_SAME_SCRAPE_SECONDS = 1.0

_watches: WeakValueDictionary[int, Watch] = WeakValueDictionary()


def watch_of(settings: Settings) -> Watch:
    """Given settings, return the one watch that all collectors made from them share."""
    # by identity: the watch holds the settings, so as long as it is there no others are at that address
    found = _watches.get(id(settings.flags))
    if found is None:
        found = _watches[id(settings.flags)] = Watch(settings)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is kept of the processes from look to look: groups by these rules, and names."""

    rules: Rules | None
    with_tops: bool
    born_after_ticks: int | None
    """Since when whoever is born counts in full, in ticks since boot; None if that could not be read."""


class Watch:
    """The processes of one host, with the groups and the names that are kept of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._procfs = settings.paths.procfs
        self._clock = settings.clock
        self._lock = threading.Lock()
        self._table: ProcessTable | None = None
        self._wanted = Wanted()
        self._kept: Kept | None = None
        self._served: set[str] = set()
        self._looked_at = 0.0
        self._last = Look()
        self.groups: Groups | None = None
        self.tops: Tops | None = None
        self.failure: OSError | ValueError | None = None
        """Why there are neither groups nor names, although they are to be kept; it is tried again at every look."""
        self.boot_seconds = 0
        """When the machine booted, in whole seconds since the epoch."""

    @property
    def table(self) -> ProcessTable:
        """The processes; only after a refresh."""
        assert self._table is not None
        return self._table

    def want(self, **wanted: object) -> None:
        """Read more of each process from now on; the names are those of `Wanted`.

        It follows from flags, so a collector that is built anew, even for nothing, wants what the running one does.
        """
        with self._lock:
            self._wanted = replace(self._wanted, **wanted)  # type: ignore[arg-type]  # the callers are in this package

    def plan(self, rules: Rules | None, with_tops: bool) -> Kept:
        """Return what to keep from this moment on. Nothing changes before a refresh is given it."""
        return Kept(rules, with_tops, self._uptime_ticks())

    def refresh(self, consumer: str, kept: Kept | None = None) -> Look:
        """Given who asks, return the present look: one that this consumer has not had.

        Given what to keep, keep that; if it was something else before, everything begins anew.
        Raise OSError if the processes cannot be listed.
        """
        with self._lock:
            if kept is not None and kept is not self._kept:
                self._follow(kept)
            now = self._clock.monotonic()
            if not self._served or consumer in self._served or now - self._looked_at > _SAME_SCRAPE_SECONDS:
                self._served.clear()
                self._last = self._look(now)
                self._looked_at = now
            self._served.add(consumer)
            return self._last

    def close(self, kept: Kept) -> None:
        """Give the descriptors back that are held, if this is what is kept."""
        with self._lock:
            if self._table is not None and kept is self._kept:
                self._table.close()

    def _follow(self, kept: Kept) -> None:
        self._kept = kept
        self._table = self.groups = self.tops = self.failure = None
        # what was looked at for others is not of this table
        self._served.clear()

    def _look(self, now: float) -> Look:
        if self._table is None or self.failure is not None:
            self._begin()
        table = self.table
        table.wanted = self._wanted
        look = table.look()
        joined = [] if self.groups is None else self.groups.assign(look)
        if self._wanted.open_files or self._wanted.thread_states:
            table.complete({id(record): record for record in (*look.born, *joined)}.values())
        else:
            table.complete(joined)
        if self.groups is not None:
            self.groups.settle(look, joined)
        if self.tops is not None:
            self.tops.update(look, now)
        return look

    def _begin(self) -> None:
        """Begin with an empty table, so that groups and names meet everybody; without them if that cannot be."""
        self._table = ProcessTable(self._procfs, self._wanted)
        self.failure = None
        kept = self._kept
        if kept is None:
            return
        try:
            # from when it was built, not from the first scrape: a process born between the two counts in full
            born_after = kept.born_after_ticks
            if born_after is None:
                born_after = int(read_uptime(self._procfs) * TICKS_PER_SECOND)
            self.boot_seconds = int(boot_time(self._procfs))
        except (OSError, ValueError) as error:
            self.failure = error
            return
        if kept.rules is not None:
            self.groups = Groups(self._table, replace(kept.rules, born_after_ticks=born_after))
        if kept.with_tops:
            self.tops = Tops(born_after)

    def _uptime_ticks(self) -> int | None:
        try:
            return int(read_uptime(self._procfs) * TICKS_PER_SECOND)
        except (OSError, ValueError):
            # read again at the first look, which tells the failure
            return None
