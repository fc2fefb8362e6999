"""What the benchmark of memory plants, level by level, and the gauges that tell of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory_collect import tell
from benchmarks.memory_workers import Workers

MIB = 1024 * 1024
HOST = 1400 * MIB
"""Memory of the host that the gauges tell of."""
USED = 0.66
"""Share of it that is used before anything is planted."""
GROUP = "worker-mail"
"""As in the shipped playbooks."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level: its playbook, what is planted for it, and the share of the host that is used then."""

    name: str
    kind: str
    share: float

    @property
    def planted(self) -> int:
        """Bytes, in whole MiB."""
        return int((self.share - USED) * HOST) // MIB * MIB


LEVELS = (
    Level("conservative", "old files in memory", 0.75),
    Level("balanced", "garbage of two idle workers", 0.85),
    Level("aggressive", "an idle worker that has leaked", 0.93),
    Level("emergency", "an idle worker that has leaked", 0.97),
)
MOST = max(level.planted for level in LEVELS)
"""Bytes that are planted at the same time."""


class Fixture:
    """The folder in memory, the workers, and the gauges that tell of both once that is allowed."""

    def __init__(self, folder: Path, memory: Path) -> None:
        self.root = memory / "cache"
        self.root.mkdir()
        self.young = self.root / "young"
        self.young.write_bytes(b"y" * 8 * MIB)
        (folder / "workers").mkdir()
        self.workers = Workers(folder / "workers", 2)
        self._base = self.held()
        self._shown = 0
        self._frozen = False

    def held(self) -> int:
        """Return the bytes of the files and of the workers."""
        files = 0
        for path in self.root.iterdir():
            # removed while they are counted
            with suppress(FileNotFoundError):
                files += path.stat().st_size
        return files + sum(self.workers.sizes())

    def page(self) -> str:
        """Return the gauges of a host that holds the fixture and nothing else."""
        if not self._frozen:
            self._shown = max(0, self.held() - self._base)
        available = int((1 - USED) * HOST) - self._shown
        return f"""node_memory_MemTotal_bytes {HOST}
node_memory_MemAvailable_bytes {available}
namedprocess_namegroup_num_procs{{groupname="{GROUP}"}} {len(self.workers.sizes())}
"""

    def plant(self, level: Level) -> None:
        """Plant the memory of one level."""
        if level.name == "conservative":
            for number in range(level.planted // MIB):
                path = self.root / f"old-{number}"
                path.write_bytes(b"o" * MIB)
                os.utime(path, (time.time() - 7200, time.time() - 7200))
        elif level.name == "balanced":
            for number in range(2):
                tell(self.workers.socket(number), f"garbage {level.planted // 2}")
        else:
            tell(self.workers.socket(0), f"leak {level.planted}")

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Show nothing of what is planted meanwhile: nobody may act before it was measured."""
        self._frozen = True
        try:
            yield
        finally:
            self._frozen = False

    def close(self) -> None:
        """End the workers."""
        self.workers.close()
