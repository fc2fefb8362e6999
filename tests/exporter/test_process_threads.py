"""What is told of threads and of proportional memory when it is asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.procfs.members import parse_proportional, slurp
from exporter.smaps import Budget, Proportions
from selfheal.common.clock import ManualClock
from tests.exporter.test_process import PREFIX, groups_file
from tests.exporter.test_process_tops import process
from tests.exporter.trees import GROUPS, copied_procfs, create, values, wait_until

REAL = Path("/proc")


def thread(procfs: Path, tid: int, name: str, **numbers: int) -> None:
    """Write one thread of the captured worker."""
    used = {"user": 0, "system": 0, "minor": 0, "major": 0, "voluntary": 0, "read": 0, "written": 0} | numbers
    folder = procfs / "810/task" / str(tid)
    folder.mkdir(exist_ok=True)
    (folder / "stat").write_text(
        f"{tid} ({name}) S 800 810 810 0 -1 0 {used['minor']} 0 {used['major']} 0 {used['user']} {used['system']} "
        f"0 0 20 0 4 0 4100 239505408 2417 0 0 0 5 0 0 0 0\n"
    )
    (folder / "status").write_text(
        f"Name:\t{name}\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t{used['voluntary']}\n"
        "nonvoluntary_ctxt_switches:\t0\n"
    )
    (folder / "io").write_text(
        f"rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: {used['read']}\nwrite_bytes: {used['written']}\n"
    )
    (folder / "wchan").write_text("do_wait")


@pytest.fixture
def procfs(tmp_path: Path) -> Path:
    """The captured tree, with three whole threads in the worker."""
    procfs = copied_procfs(tmp_path)
    shutil.rmtree(procfs / "810/task")
    (procfs / "810/task").mkdir()
    for tid, name in ((810, "web worker"), (811, "pool"), (812, "pool"), (813, "gc")):
        thread(procfs, tid, name)
    (procfs / "800/wchan").write_text("do_epoll_wait")
    (procfs / "811/wchan").write_text("0")
    return procfs


def series(name: str, group: str = "web", **labels: str) -> str:
    """Return a series of a group as it is written."""
    inside = "".join(f',{label}="{value}"' for label, value in labels.items())
    return f'{PREFIX}{name}{{groupname="{group}"{inside}}}'


def test_threads_are_told_by_name_and_count_from_when_they_were_seen(procfs: Path) -> None:
    collect = create("process", f"--config.path={GROUPS}", "--threads", procfs=procfs)
    first = values(collect())
    assert first[series("thread_count", threadname="pool")] == "2"
    assert first[series("thread_count", threadname="gc")] == "1"
    assert first[series("thread_cpu_seconds_total", threadname="pool", mode="user")] == "0.0"

    thread(procfs, 811, "pool", user=50, system=5, minor=3, voluntary=4, read=512, written=4096)
    thread(procfs, 812, "pool", user=25, major=1)
    found = values(collect())

    assert found[series("thread_cpu_seconds_total", threadname="pool", mode="user")] == "0.75"
    assert found[series("thread_cpu_seconds_total", threadname="pool", mode="system")] == "0.05"
    assert found[series("thread_minor_page_faults_total", threadname="pool")] == "3"
    assert found[series("thread_major_page_faults_total", threadname="pool")] == "1"
    assert found[series("thread_context_switches_total", threadname="pool", ctxswitchtype="voluntary")] == "4"
    assert found[series("thread_io_bytes_total", threadname="pool", iomode="read")] == "512"
    assert found[series("thread_io_bytes_total", threadname="pool", iomode="write")] == "4096"
    assert found[series("thread_cpu_seconds_total", threadname="gc", mode="user")] == "0.0"


def test_a_name_that_no_thread_bears_any_more_is_not_told_and_begins_anew(procfs: Path) -> None:
    collect = create("process", f"--config.path={GROUPS}", "-threads=true", procfs=procfs)
    collect()
    thread(procfs, 813, "gc", user=9)
    assert values(collect())[series("thread_cpu_seconds_total", threadname="gc", mode="user")] == "0.09"
    shutil.rmtree(procfs / "810/task/813")
    assert series("thread_count", threadname="gc") not in values(collect())
    thread(procfs, 814, "gc", user=500)

    assert values(collect())[series("thread_cpu_seconds_total", threadname="gc", mode="user")] == "0.0"


def test_where_threads_wait_is_told_of_each_once(procfs: Path) -> None:
    found = values(create("process", f"--config.path={GROUPS}", "--threads=true", procfs=procfs)())

    assert found[series("threads_wchan", wchan="do_wait")] == "4"
    assert found[series("threads_wchan", wchan="do_epoll_wait")] == "1"
    assert series("threads_wchan", wchan="0") not in found


def test_unless_asked_for_nothing_is_told_of_threads_and_proportions(procfs: Path) -> None:
    found = values(create("process", f"--config.path={GROUPS}", "-threads=false", procfs=procfs)())

    assert not [one for one in found if "thread_" in one or "wchan" in one or "proportional" in one]


def test_threads_of_a_real_process_are_told(tmp_path: Path) -> None:
    code = "import threading; e = threading.Event(); [threading.Thread(target=e.wait, daemon=True).start() "
    code += "for _ in range(3)]; print(flush=True); input()"
    argv = [sys.executable, "-I", "-c", code, "patient-threads"]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline()
        config = groups_file(tmp_path, "process_names: [{name: threads, cmdline: [patient-threads$]}]")
        collect = create("process", config, "--threads", procfs=REAL)
        wait_until(lambda: values(collect()).get(series("states", "threads", state="Sleeping")) == "4")
        found = values(collect())

        counts = [value for one, value in found.items() if one.startswith(f"{PREFIX}thread_count")]
        assert counts == ["4"]
        assert sum(int(value) for one, value in found.items() if one.startswith(f"{PREFIX}threads_wchan")) <= 4
    finally:
        child.kill()
        child.communicate()


def test_proportional_memory_is_told_when_asked_for(procfs: Path) -> None:
    for pid, kib in ((800, 100), (810, 20), (811, 3)):
        (procfs / str(pid) / "smaps_rollup").write_text(f"0-1 ---p 0 00:00 0 [rollup]\nPss: {kib} kB\nSwapPss: 1 kB\n")

    found = values(create("process", f"--config.path={GROUPS}", "--gather-smaps", procfs=procfs)())

    assert found[series("memory_bytes", memtype="proportionalResident")] == str(123 * 1024)
    assert found[series("memory_bytes", memtype="proportionalSwapped")] == str(3 * 1024)
    assert found["selfheal_process_proportional_memory_skipped"] == "0"
    large = create(
        "process", f"--config.path={GROUPS}", "--gather-smaps", "--collector.process.smaps-max-bytes=1", procfs=procfs
    )
    found = values(large())
    assert found[series("memory_bytes", memtype="proportionalResident")] == "0"
    assert int(found["selfheal_process_proportional_memory_skipped"]) == 5


class SteppingClock(ManualClock):
    """A clock on which every question takes a second."""

    def monotonic(self) -> float:
        """Return the time, which has moved."""
        self.advance(1)
        return super().monotonic()


def test_beyond_the_budget_the_rest_is_read_in_the_next_scrapes(tmp_path: Path) -> None:
    members = {}
    for pid in range(6):
        members[pid] = process(pid, "x", 0)
        members[pid].path = bytes(tmp_path / str(pid)) + b"/"
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "smaps_rollup").write_text("x\nPss: 1 kB\n")
    proportions = Proportions(Budget(seconds=2.0), SteppingClock())

    proportions.update(members)
    assert proportions.skipped == 4
    proportions.update(members)
    proportions.update(members)
    assert [proportions.of(record) for record in members.values()] == [(1024, 0)] * 6
    # all have been read once: now the oldest comes first
    (tmp_path / "0/smaps_rollup").write_text("x\nPss: 9 kB\n")
    proportions.update(members)
    assert proportions.of(members[0]) == (9 * 1024, 0)


def test_proportional_memory_of_ourselves_is_that_of_the_kernel() -> None:
    resident, _ = parse_proportional(slurp(b"/proc/self/smaps_rollup"))

    assert 1_000_000 < resident < 1_000_000_000_000
