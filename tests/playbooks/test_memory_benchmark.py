"""The benchmark of memory: it leaves no worker behind, and what other programs did is no merit of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.memory import summary
from benchmarks.rig import until
from selfheal.common.processes import read_process

PROCFS = Path("/proc")
STARTS = """
import sys
from pathlib import Path
from benchmarks.memory_workers import Workers
workers = Workers(Path(sys.argv[1]), 2)
print(*(child.pid for child in workers._children.values()), flush=True)
"""


def result(planted: int, freed: int, let_go: int) -> dict[str, Any]:
    """Return the figures of one level."""
    return {"planted_mb": planted, "freed_mb": freed, "let_go_mb": let_go, "verdict": "fixed"}


def is_gone(pid: int) -> bool:
    """Say whether a process has ended, collected or not."""
    process = read_process(PROCFS, pid)
    return process is None or process.is_zombie


def test_workers_end_with_the_benchmark_however_it_ends(tmp_path: Path) -> None:
    waiting = STARTS + "import signal\nsignal.pause()\n"
    program = subprocess.Popen([sys.executable, "-c", waiting, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        workers = [int(pid) for pid in program.stdout.readline().split()]
        assert len(workers) == 2
        assert not any(is_gone(pid) for pid in workers)
    finally:
        program.kill()
        program.communicate(timeout=30)

    try:
        until(lambda: all(is_gone(pid) for pid in workers))
    finally:
        for pid in workers:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_benchmark_that_fails_while_it_starts_ends_nevertheless(tmp_path: Path) -> None:
    failing = STARTS + "raise KeyboardInterrupt\n"

    done = subprocess.run([sys.executable, "-c", failing, str(tmp_path)], capture_output=True, timeout=60, check=False)

    assert done.returncode != 0
    workers = [int(pid) for pid in done.stdout.split()]
    until(lambda: all(is_gone(pid) for pid in workers))


def test_more_than_was_planted_in_one_level_makes_up_for_nothing_in_another() -> None:
    figures = summary([result(100, 300, 100), result(300, 100, 100)])

    assert figures["share"] == 0.5


def test_what_others_took_is_told_by_the_level_it_was_in() -> None:
    assert summary([result(1000, 1000, 1000), result(100, 111, 100)])["is_quiet"] is False
    assert summary([result(1000, 1000, 1000), result(100, 110, 100)])["is_quiet"] is True
    assert summary([result(1000, 880, 1000)])["is_quiet"] is False
