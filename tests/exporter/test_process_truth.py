"""What is kept of a process whose CPU clock did not move is what its files say: everything is read again to see.

A few seconds in the suite; `make truth` gives it a minute by SELFHEAL_TRUTH_SECONDS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from operator import le
from pathlib import Path

import pytest

from exporter.procfs.processes import ProcessTable
from exporter.procfs.record import Record, Wanted

REAL = Path("/proc")
SECONDS = float(os.environ.get("SELFHEAL_TRUTH_SECONDS", "4"))

# a busy host: processes that wake at odd times, and each time use a little of everything that is counted
BUSY = """
import os, random, sys, threading, time
def live(number):
    random.seed(number)
    files, event = [], threading.Event()
    if number % 7 == 0:
        [threading.Thread(target=live, args=(number * 100 + one,), daemon=True).start() for one in (1, 2)]
    while True:
        time.sleep(random.uniform(0.001, 0.7))
        what = random.randrange(6)
        if what == 0:
            files.append(os.open("/dev/null", os.O_RDONLY))
        elif what == 1 and files:
            os.close(files.pop())
        elif what == 2:
            with open(sys.argv[1] + str(number), "wb") as file:
                file.write(bytes(random.randrange(9000)))
        elif what == 3:
            sum(range(random.randrange(200_000)))
        elif what == 4 and number % 5 == 0:
            with open("/proc/self/comm", "w") as file:
                file.write("busy-" + str(random.randrange(9)))
        else:
            kept = bytearray(random.randrange(1 << 20))
for number in range(60):
    if not os.fork():
        live(number)
sys.stdin.read()
os.killpg(0, 9)
"""


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[int]:
    """Processes that come and go to work; they end with their parent."""
    argv = [sys.executable, "-I", "-S", "-c", BUSY, str(tmp_path / "file")]
    parent = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
    yield parent.pid
    os.killpg(parent.pid, 9)
    parent.communicate()


def clock(record: Record) -> int | None:
    """Return the CPU clock of a process now."""
    try:
        return time.clock_gettime_ns(record.clock_id)
    except OSError:
        return None


def numbers(text: str, *keys: str) -> list[int]:
    """Return the number after each key at the beginning of a line; 0 where it is not there."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return [int(lines[key].split()[0]) if key in lines else 0 for key in keys]


def afresh(record: Record) -> dict[str, object] | None:
    """Read everything of a process with other code than the table's.

    Return None if it has ended, or is on a CPU: then its clock moves at the next tick of that, some milliseconds later.
    """
    folder = REAL / str(record.pid)
    try:
        words = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        read, written = numbers((folder / "io").read_text(), "read_bytes", "write_bytes")
        threads = [
            numbers(path.read_text(), "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches")
            for path in folder.glob("task/*/status")
        ]
        found: dict[str, object] = {
            "comm": (folder / "comm").read_bytes().rstrip(b"\n"),
            "arguments": (folder / "cmdline").read_bytes() if words[20] != "0" else b"",
            "faults and ticks": [int(words[place]) for place in (11, 12, 7, 9)],
            "switches": [sum(pair[0] for pair in threads), sum(pair[1] for pair in threads)],
            # less than a KiB is told only with what comes after it
            "storage": [read // 1024, written // 1024],
            "threads": int(words[17]),
            "start": int(words[19]),
            "parent": int(words[1]),
            "virtual": int(words[20]),
            # one that waits to accept has a descriptor taken already, which is not listed yet
            "files": ((folder / "fd").stat().st_size or len(list((folder / "fd").iterdir())))
            if words[20] != "0"
            else 0,
        }
        # asked last: what began to run after it has changed nothing that was read
        states = [path.read_text(errors="replace").rpartition(")")[2].split()[0] for path in folder.glob("task/*/stat")]
        return None if "R" in states else found
    except OSError:
        return None


def kept(record: Record) -> dict[str, object]:
    """Return what the table has of a process, in the same form."""
    user, system, minor, major, voluntary, nonvoluntary, read, written = record.counters
    return {
        "comm": record.stat.comm,
        "arguments": record.arguments,
        "faults and ticks": [user, system, minor, major],
        "switches": [voluntary, nonvoluntary],
        "storage": [read // 1024, written // 1024],
        "threads": record.stat.threads,
        "start": record.stat.start_ticks,
        "parent": record.stat.ppid,
        "virtual": record.stat.virtual_bytes,
        "files": record.open_files,
    }


@pytest.mark.timeout(SECONDS + 60)
def test_no_counter_moves_under_a_clock_that_does_not(busy: int) -> None:
    table = ProcessTable(REAL, Wanted(open_files=True, thread_states=True, recheck_seconds=float("inf")))
    compared, wrong = 0, []
    threaded: set[int] = set()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        look = table.look()
        for record in look.born:
            record.member = True
        table.complete(look.born)
        threaded |= {record.pid for record in table.records.values() if record.stat.threads > 1}
        for record in list(table.records.values()):
            if record.unreadable or not record.counters or clock(record) != record.clock:
                continue
            found = afresh(record)
            if found is None or clock(record) != record.clock:
                continue
            compared += 1
            expected = kept(record)
            if record.pid in threaded and all(map(le, found["switches"], expected["switches"])):
                # the kernel tells those of threads that have ended as well
                found["switches"] = expected["switches"]
            if found != expected:
                wrong.append(
                    (record.pid, {key: (expected[key], found[key]) for key in found if found[key] != expected[key]})
                )

    assert wrong == []
    assert compared > 100 * SECONDS
