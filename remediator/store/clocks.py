"""Jumps of the wall clock, kept: what is past is not longer ago because a clock was set, nor after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remediator.store.rows import Rows

JUMP = 30.0
"""Seconds by which the wall clock must leave the monotonic one to count as a jump."""
Jump = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was stored when it was last read: by how much the clocks differed, and the jumps until then."""

    offset: float
    jumps: tuple[Jump, ...]


def began(window: float, now: float, jumps: Sequence[Jump]) -> float:
    """Return where a window of so many seconds that really passed begins on the wall clock.

    `jumps` are in the order in which they happened; the newest is undone first.
    """
    start = now - window
    for at, size in reversed(jumps):
        if start < at:
            start -= size
    return start


class ClockReads(Rows):
    """Reading the jumps."""

    def clock_jumps(self) -> tuple[Jump, ...]:
        """Return (wall time after it, seconds) of each jump ahead that is known, the earliest first."""
        return tuple(jump for jump in self._all_jumps() if jump[1] > 0)

    def set_by(self) -> float:
        """Return by how many seconds all jumps together set the wall clock.

        The wall clock without them runs evenly: times on it tell how long ago something really was.
        """
        return sum(size for _, size in self._all_jumps())

    def _all_jumps(self) -> tuple[Jump, ...]:
        return tuple((row["at"], row["size"]) for row in self._all("clock_jumps"))


class ClockWrites(ClockReads):
    """Noting the jumps."""

    _known: _Known | None = None

    def _all_jumps(self) -> tuple[Jump, ...]:
        """Look at both clocks, note it when they parted since anybody looked, and return every jump."""
        now = self._clock.now()
        offset = now - self._clock.monotonic()
        if self._known is not None and abs(offset - self._known.offset) <= JUMP:
            return self._known.jumps
        boot = self._clock.boot
        row = self._one("clock_offset", boot=boot) if boot else None
        size = 0.0 if row is None else offset - row["seconds"]
        if boot and (row is None or abs(size) > JUMP):
            self._run("set_clock_offset", boot=boot, seconds=offset)
        if abs(size) > JUMP:
            self._run("add_clock_jump", at=now, size=size)
        jumps = super()._all_jumps()
        if row is not None and abs(size) <= JUMP:
            # read and not written: a rollback cannot take it back
            self._known = _Known(row["seconds"], jumps)
        return jumps
