"""The workers of the memory benchmark: real processes whose memory is known, started anew when they end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.rig import until


class Workers:
    """Workers by number, each started anew when it ends, as a service manager would."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self._stopping = False
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        for number in range(count):
            self._start(number)
        # nobody waits for it if the benchmark ends before it is closed
        self._watch = threading.Thread(target=self._restart, daemon=True)
        self._watch.start()

    def _start(self, number: int) -> None:
        path = self.socket(number)
        path.unlink(missing_ok=True)
        script = Path(__file__).with_name("memory_worker.py")
        command = [sys.executable, str(script), str(path), self.marker]
        # Ctrl-C is for the benchmark alone: it ends them
        self._children[number] = subprocess.Popen(command, process_group=0)
        until(path.exists)

    @property
    def marker(self) -> str:
        """What tells these workers from all other processes."""
        return f"memory-worker-{self.folder.name}"

    def socket(self, number: int) -> Path:
        """Return where a worker listens."""
        return self.folder / f"{number}.socket"

    def _restart(self) -> None:
        while not self._stopping:
            for number, child in list(self._children.items()):
                if child.poll() is not None and not self._stopping:
                    self._start(number)
            time.sleep(0.05)

    def sizes(self) -> list[int]:
        """Return the resident bytes of each worker that runs."""
        found = []
        for child in list(self._children.values()):
            try:
                pages = int(Path(f"/proc/{child.pid}/statm").read_text("ascii").split()[1])
            except (OSError, IndexError):
                continue
            found.append(pages * os.sysconf("SC_PAGE_SIZE"))
        return [size for size in found if size]

    def close(self) -> None:
        """End all of them."""
        self._stopping = True
        self._watch.join()
        for child in self._children.values():
            child.kill()
            child.wait(30)
