"""What the kernel tells over netlink is what its files say; without the right to ask nothing is told, and files do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.procfs.members import Rights, parse_io, parse_switches, slurp
from exporter.procfs.taskstats import (
    NONVOLUNTARY,
    READ_BYTES,
    VOLUNTARY,
    WRITTEN_BYTES,
    TaskStats,
    TaskStatsError,
)

REAL = Path("/proc")


class Unprivileged:
    """Where the kernel does not tell: what is expected of it is then what the files say."""

    def read(self, singles: list[int], others: list[int]) -> dict[int, list[int]]:
        """Tell of each process what its files say."""
        assert Rights(REAL).ask([os.getpid()], []) == {}
        found = {}
        for pid in [*singles, *others]:
            if not Path(f"/proc/{pid}").exists():
                continue
            read, written = parse_io(slurp(b"/proc/%d/io" % pid))
            switches = sum_of_threads(pid)
            found[pid] = [0, read // 1024 * 1024, written // 1024 * 1024, *switches]
        return found


@pytest.fixture
def taskstats() -> TaskStats | Unprivileged:
    """A conversation, where this kernel and our rights allow one."""
    try:
        return TaskStats(REAL)
    except TaskStatsError:
        return Unprivileged()


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """More processes than one batch holds, all asleep."""
    code = "import os, sys; os.write(1, b'.'); sys.stdin.read()"
    argv = [sys.executable, "-I", "-S", "-c", code]
    children = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(60)]
    for child in children:
        assert child.stdout is not None and child.stdout.read(1)
    yield children
    for child in children:
        child.kill()
        child.communicate()


def test_switches_and_storage_of_many_are_those_of_their_files(
    taskstats: TaskStats | Unprivileged, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    pids = [child.pid for child in sleepers]

    for _ in range(200):
        before = {pid: parse_switches(slurp(b"/proc/%d/status" % pid, 4096)) for pid in pids}
        found = taskstats.read(pids, [])
        after = {pid: parse_switches(slurp(b"/proc/%d/status" % pid, 4096)) for pid in pids}
        if before == after:
            break

    assert before == after
    assert {pid: (told[VOLUNTARY], told[NONVOLUNTARY]) for pid, told in found.items()} == after
    for pid in pids:
        read, written = parse_io(slurp(b"/proc/%d/io" % pid))
        assert (found[pid][READ_BYTES], found[pid][WRITTEN_BYTES]) == (read // 1024 * 1024, written // 1024 * 1024)


def test_written_bytes_are_told(taskstats: TaskStats | Unprivileged, tmp_path: Path) -> None:
    code = (
        f"import sys; f = open({str(tmp_path / 'f')!r}, 'wb', 0); f.write(bytes(1 << 20)); print(flush=True); input()"
    )
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline()
        told = taskstats.read([child.pid], [])[child.pid]
        _, written = parse_io(slurp(b"/proc/%d/io" % child.pid))

        assert told[WRITTEN_BYTES] == written // 1024 * 1024
    finally:
        child.kill()
        child.communicate()


def test_switches_of_a_process_with_threads_are_those_of_all(taskstats: TaskStats | Unprivileged) -> None:
    code = "import threading; e = threading.Event(); [threading.Thread(target=e.wait, daemon=True).start() "
    code += "for _ in range(3)]; print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline()
        for _ in range(500):
            before = sum_of_threads(child.pid)
            told = taskstats.read([], [child.pid])[child.pid]
            if before == sum_of_threads(child.pid):
                break

        assert (told[VOLUNTARY], told[NONVOLUNTARY]) == before
    finally:
        child.kill()
        child.communicate()


def sum_of_threads(pid: int) -> tuple[int, int]:
    """Return switches summed over the threads of a process."""
    pairs = [parse_switches(slurp(os.fsencode(path), 4096)) for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)


def test_who_is_not_there_is_left_out(taskstats: TaskStats | Unprivileged) -> None:
    child = subprocess.Popen(["true"])
    child.wait()

    assert list(taskstats.read([child.pid, os.getpid()], [child.pid])) == [os.getpid()]
