"""Totals that only ever grow, and sums of the living: whole numbers, moved by differences, so that they never drift."""

from __future__ import annotations

from operator import add, sub

Counters = tuple[int, ...]
"""What one process has used since it began, in the kernel's units; negative is what may not be read."""


def first_share(counters: Counters, born_since: bool) -> Counters:
    """Given the counters at first sight, and whether the process was born since we began, return what counts of them.

    Of an older process nothing does: it used that before, and who knows when.
    """
    return counters if born_since else (0,) * len(counters)


def growth(now: Counters, last: Counters) -> Counters:
    """Given counters now and when they were last counted, return by how much each has grown.

    A counter that cannot be read, or that fell because a thread ended, has not grown.
    """
    grown = tuple(map(sub, now, last))
    # the bytes of storage, which come last, may be unreadable once and not another time
    if min(grown) < 0 or last[-1] < 0:
        return tuple(new - old if new > old >= 0 else 0 for new, old in zip(now, last, strict=True))
    return grown


class Account:
    """The total of everything that members ever used, and the sums over those that are members now."""

    __slots__ = ("sums", "totals")

    def __init__(self, totals: int, sums: int) -> None:
        """Take how many numbers there are of each kind."""
        self.totals = [0] * totals
        self.sums = [0] * sums

    def grow(self, grown: Counters) -> None:
        """Add what a member used."""
        self.totals = list(map(add, self.totals, grown))

    def enter(self, share: tuple[int, ...]) -> None:
        """Add the share of a new member."""
        self.sums = list(map(add, self.sums, share))

    def leave(self, share: tuple[int, ...]) -> None:
        """Take out the share of one that is no member any more."""
        self.sums = list(map(sub, self.sums, share))

    def move(self, share: tuple[int, ...], last: tuple[int, ...]) -> None:
        """Put a member's new share in the place of its last."""
        self.sums = list(map(add, self.sums, map(sub, share, last)))
