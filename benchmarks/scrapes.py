"""Exporters as processes, scraped and measured: CPU by their own clocks, latency, memory; and a crowd beside them."""

from __future__ import annotations

import http.client
import re
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import sleepers
from benchmarks.rig import free_port, until

MILLION = 1_000_000


class Target:
    """One exporter, started here, and one kept connection to it."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path) -> None:
        self.name = name
        self.port = free_port()
        words = [str(word).replace("PORT", str(self.port)) for word in command]
        with log.open("ab") as sink:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
        self._clock = (~self._process.pid << 3) | 2
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self._connection = until(self._connect)

    def _connect(self) -> http.client.HTTPConnection | None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self._process.returncode}")
        try:
            self.scrape()
        except OSError:
            self._connection.close()
            return None
        return self._connection

    def scrape(self, encoding: str = "identity") -> bytes:
        """Return the page as it came."""
        self._connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.name} answered {answer.status}")
        return body

    def cpu_ns(self) -> int:
        """Return the CPU that the process has used, all threads, user and system."""
        return time.clock_gettime_ns(self._clock)

    def memory_kib(self, field: str = "VmRSS") -> int:
        """Return the resident memory now, or with `VmHWM` its peak."""
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        return int(found[1]) if found else 0

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.kill()
        self._process.wait(30)


class Crowd:
    """The sleeping processes beside, as many as wanted."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", sleepers.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def grow(self, count: int) -> None:
        """Wait until there are so many and all of them sleep."""
        self._tell(f"grow {count}")

    def wake(self) -> None:
        """Let each of them run once, and wait until all of them sleep again."""
        self._tell("wake")

    def _tell(self, words: str) -> None:
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the crowd has no pipes")
        self._process.stdin.write(f"{words}\n".encode())
        self._process.stdin.flush()
        if self._process.stdout.readline() != b"done\n":
            raise RuntimeError(f"the crowd ended with {self._process.wait(30)}")

    def close(self) -> None:
        """End all of them."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(60)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def crowd() -> Iterator[Crowd]:
    """End the crowd at the end, whatever happens."""
    found = Crowd()
    try:
        yield found
    finally:
        found.close()


@dataclass(slots=True)
class Cell:
    """What was measured of one exporter under one load: CPU per scrape of each round, and every latency."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    rss_kib: int = 0
    page: bytes = b""
    zipped: int = 0

    @property
    def cpu(self) -> float:
        """Milliseconds of CPU per scrape: the median of the rounds."""
        return statistics.median(self.cpu_ms)

    @property
    def p50(self) -> float:
        """Milliseconds from question to whole answer: the median."""
        return statistics.median(self.wall_ms)

    @property
    def p99(self) -> float:
        """Milliseconds that 99 of 100 scrapes took at most."""
        return sorted(self.wall_ms)[min(len(self.wall_ms) - 1, int(len(self.wall_ms) * 0.99))]

    @property
    def samples(self) -> int:
        """Lines of the page that are samples."""
        return sum(not line.startswith(b"#") for line in self.page.splitlines())


def visit(target: Target, cell: Cell, scrapes: int, before: Callable[[], None] | None) -> None:
    """Scrape so often and note one round; `before` each scrape, outside of what is measured, something may happen."""
    used = 0
    for _ in range(scrapes):
        if before is not None:
            before()
        cpu, begun = target.cpu_ns(), time.perf_counter_ns()
        cell.page = target.scrape()
        cell.wall_ms.append((time.perf_counter_ns() - begun) / MILLION)
        used += target.cpu_ns() - cpu
    cell.cpu_ms.append(used / scrapes / MILLION)
    cell.rss_kib = max(cell.rss_kib, target.memory_kib())


def note_zipped(target: Target, cell: Cell) -> None:
    """Note the size of the page as Prometheus gets it."""
    body = target.scrape("gzip")
    zlib.decompress(body, 31)
    cell.zipped = len(body)
