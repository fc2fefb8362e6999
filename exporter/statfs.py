"""Asks mounted file systems for their sizes in bounded time: one that hangs costs the others nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

from exporter.deadline import BoundedCaller, LateError
from selfheal.common.clock import Clock

TIMED_OUT = "mountpoint timeout"

# each hanging mount keeps the thread that asked it; with so many there is no further thread
_MOST_STUCK = 64

# a text, for Windows has no statvfs
Room: TypeAlias = "os.statvfs_result | str"


def ask(path: str) -> Room:
    """Given the path of a mount, return its sizes or what is wrong with it, however long that takes."""
    try:
        return os.statvfs(path)
    except OSError as error:
        return (error.strerror or str(error)).lower()


class _Walk:
    """Asks paths one after the other, and says at which it is."""

    def __init__(self, paths: Sequence[str], clock: Clock) -> None:
        self.rooms: list[Room] = []
        self.begun = clock.monotonic()
        self.is_given_up = False
        self._paths = paths
        self._clock = clock

    def run(self) -> None:
        """Ask all paths, or all up to where we are given up."""
        for path in self._paths:
            room = ask(path)
            if self.is_given_up:
                break
            self.rooms.append(room)
            self.begun = self._clock.monotonic()


class Asker:
    """All mounts are asked on one kept thread; who does not answer in time is left to it, and not asked meanwhile.

    The next mount gets a new thread. In one round at most `patience` mounts are waited for until time is over; those
    behind them count as late too and have their turn in the next round, so a round is bounded however many hang.
    """

    def __init__(self, seconds: float, patience: int, clock: Clock) -> None:
        self._seconds = seconds
        self._patience = patience
        self._clock = clock
        self._caller: BoundedCaller[None] = BoundedCaller("filesystem")
        self._stuck: dict[str, BoundedCaller[None]] = {}
        self._answered: set[str] = set()

    def ask(self, paths: Sequence[str]) -> dict[str, Room]:
        """Given paths, return for each its sizes, or what is wrong with it."""
        found: dict[str, Room] = {}
        if self._stuck:
            paths = self._without_stuck(paths, found)
        for _ in range(self._patience):
            if not paths or self._caller.is_stuck():
                break
            rooms = self._walk(paths)
            found.update(zip(paths, rooms, strict=False))
            if len(rooms) == len(paths):
                return found
            late, paths = paths[len(rooms)], paths[len(rooms) + 1 :]
            found[late] = TIMED_OUT
            self._answered.update(path for path, room in found.items() if room is not TIMED_OUT)
            self._stuck[late] = self._caller
            if len(self._stuck) < _MOST_STUCK:
                self._caller = BoundedCaller("filesystem")
        found.update(dict.fromkeys(paths, TIMED_OUT))
        return found

    def _without_stuck(self, paths: Sequence[str], found: dict[str, Room]) -> Sequence[str]:
        self._stuck = {path: caller for path, caller in self._stuck.items() if caller.is_stuck()}
        if not self._stuck:
            self._answered.clear()
            return paths
        found.update(dict.fromkeys(self._stuck, TIMED_OUT))
        # what answered once is asked first, so that time which ends early is not its loss
        left = [path for path in paths if path not in self._stuck]
        return sorted(left, key=lambda path: path not in self._answered)

    def _walk(self, paths: Sequence[str]) -> list[Room]:
        """Return the rooms of the paths, or only of those before the one that hangs."""
        walk = _Walk(paths, self._clock)
        try:
            self._caller.call(walk.run, self._seconds)
        except LateError:
            # many may be slow together without one of them hanging: time counts from the last answer
            while (left := walk.begun + self._seconds - self._clock.monotonic()) > 0:
                if not self._caller.is_stuck(left):
                    return walk.rooms
            walk.is_given_up = True
        return list(walk.rooms)
