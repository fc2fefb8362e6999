"""Where the host's own file systems are, as seen from here: in a container they are mounted somewhere else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """The three roots that every collector reads below; nobody else spells `/proc`."""

    procfs: Path = Path("/proc")
    sysfs: Path = Path("/sys")
    rootfs: Path = Path("/")

    def below_root(self, path: str) -> Path:
        """Given an absolute path as the host knows it, return where it is from here."""
        return self.rootfs / path.lstrip("/")
