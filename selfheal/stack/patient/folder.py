"""The folder that fills when told to, up to its ceiling, until somebody cleans it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from selfheal.stack.patient import CEILING_FOLDER_BYTES, CEILING_SECONDS

FILE_BYTES = 4 * 1024 * 1024
_EVERY = 0.2


@dataclass(slots=True)
class Folder:
    """Writes one file a turn while it is ill."""

    path: Path
    _written: list[Path] = field(default_factory=list)
    _until: float | None = None
    _next: float = 0.0

    def fall_ill(self, now: float) -> None:
        """Begin to fill."""
        # files of an earlier illness that were left over are written again under the same names: the ceiling holds
        self._written.clear()
        self._until = now + CEILING_SECONDS
        self._next = now

    def turn(self, now: float) -> float | None:
        """Write a file if one is due; return when to come again, or None when well."""
        if self._until is None:
            return None
        if now >= self._until:
            self.get_well()
            return None
        if any(not file.exists() for file in self._written):
            # somebody cleaned: the illness is over, what is left may stay
            self._until = None
            return None
        if now >= self._next and (len(self._written) + 1) * FILE_BYTES <= CEILING_FOLDER_BYTES:
            file = self.path / f"fill-{len(self._written):03d}.dat"
            file.write_bytes(b"\xa5" * FILE_BYTES)
            self._written.append(file)
            self._next = now + _EVERY
        return min(self._until, now + _EVERY)

    def get_well(self) -> None:
        """Remove what was written and stop."""
        for file in self._written:
            file.unlink(missing_ok=True)
        self._written.clear()
        self._until = None
