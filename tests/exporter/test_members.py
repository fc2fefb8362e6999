"""The files of one process: parsing whatever stands in them, and reading what our rights allow."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.procfs import members
from exporter.procfs.members import (
    UNLIMITED,
    Rights,
    count_open_files,
    parse_io,
    parse_open_files_limit,
    parse_proportional,
    parse_resident_pages,
    parse_stat,
    parse_swapped_bytes,
    parse_switches,
    read_open_files_limit,
    read_threads,
    slurp,
    swap_is_used,
)
from exporter.procfs.taskstats import TaskStatsError
from tests.exporter.trees import PROCFS, copied_procfs, wait_until

REAL = Path("/proc")
OWN = b"/proc/%d/" % os.getpid()


@given(name=st.binary(max_size=15).filter(lambda name: b"\0" not in name))
def test_any_name_the_kernel_allows_is_parsed(name: bytes) -> None:
    tail = b") R 9 1 1 0 -1 0 11 0 12 0 3 4 0 0 20 0 6 0 7 8 9 10 20 21 22 23 24\n"
    found = parse_stat(b"1 (" + name + tail)

    assert (found.comm, found.state, found.ppid, found.threads, found.start_ticks) == (name, "R", 9, 6, 7)
    assert (found.minor_faults, found.major_faults, found.user_ticks, found.system_ticks) == (11, 12, 3, 4)
    assert (found.virtual_bytes, found.stack) == (8, b"22")


@pytest.mark.parametrize("data", [b"", b"5 (sh) S 1 2", b"5 )sh( S", b"5 (sh) S " + b"x " * 40])
def test_a_stat_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        parse_stat(data)


def test_our_own_stat_is_parsed_as_python_knows_it() -> None:
    found = parse_stat(slurp(OWN + b"stat"))

    assert found.ppid == os.getppid()
    assert found.user_ticks / 100 == pytest.approx(os.times().user, abs=0.2)
    assert found.threads == threading.active_count()
    assert found.stack != b"0"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n", (5, 6)),
        (b"rchar: 1\nwrite_bytes: 6\nread_bytes: 5\n", (5, 6)),
        (b"rchar: 1\nread_bytes: 5\n", (5, -1)),
        (b"", (-1, -1)),
        (b"x\nread_bytes: many\nwrite_bytes:", (-1, -1)),
    ],
    ids=["whole", "other_order", "torn", "empty", "garbage"],
)
def test_io_is_parsed(data: bytes, expected: tuple[int, int]) -> None:
    assert parse_io(data) == expected


def test_status_is_parsed() -> None:
    data = b"Name:\tvoluntary_ctxt_switches:\nVmSwap:\t      12 kB\nvoluntary_ctxt_switches:\t7\n"
    data += b"nonvoluntary_ctxt_switches:\t3\nx86_Thread_features:\t\n"

    assert parse_switches(data) == (7, 3)
    assert parse_swapped_bytes(data) == 12 * 1024
    assert parse_switches(b"Name:\tx\n") == (0, 0)
    assert parse_swapped_bytes(b"Name:\tx\n") == 0


def test_smaps_rollup_is_parsed() -> None:
    data = b"55d-7ff ---p 00000000 00:00 0 [rollup]\nRss: 884 kB\nPss: 385 kB\nPss_Dirty: 68 kB\nSwapPss: 2 kB\n"

    assert parse_proportional(data) == (385 * 1024, 2 * 1024)
    assert parse_proportional(b"") == (0, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"Limit  Soft  Hard\nMax open files            1024                 4096                 files     \n", 1024),
        (
            b"Limit  Soft  Hard\nMax open files            unlimited            unlimited            files     \n",
            UNLIMITED,
        ),
        (b"Limit  Soft  Hard\n", UNLIMITED),
        (b"", UNLIMITED),
    ],
    ids=["limited", "unlimited", "no_line", "empty"],
)
def test_limits_are_parsed(data: bytes, expected: float) -> None:
    assert parse_open_files_limit(data) == expected


def test_statm_is_parsed_from_its_beginning() -> None:
    assert parse_resident_pages(b"58473 2417 1501 1 0 74") == 2417
    with pytest.raises(ValueError, match="not a statm line"):
        parse_resident_pages(b"58473")


def test_swap_is_used_when_any_of_it_is() -> None:
    header = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

    assert not swap_is_used(header)
    assert not swap_is_used(header + b"/dev/sda2  partition\t1000\t0\t-2\n")
    assert swap_is_used(header + b"/a partition 1000 0 -2\n/b partition 1000 5 -3\n")


def test_a_file_longer_than_expected_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * 200_000)

    assert slurp(os.fsencode(tmp_path / "long"), 64) == b"x" * 200_000


def test_open_files_and_their_limit_are_those_of_the_kernel() -> None:
    rights = Rights(REAL)
    expected = len(list((REAL / "self/fd").iterdir())) - 1

    assert count_open_files(OWN, rights) == expected
    rights.fd_sizes = False
    # the folder itself is open while it is listed
    assert count_open_files(OWN, rights) == expected + 1
    by_call = read_open_files_limit(OWN, os.getpid(), rights)
    rights.shows_ourselves = False
    assert read_open_files_limit(OWN, os.getpid(), rights) == by_call


def test_a_limit_that_may_not_be_asked_for_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rights = Rights(REAL)
    expected = read_open_files_limit(OWN, os.getpid(), rights)

    def refuse(*_: object) -> tuple[int, int]:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(members.resource, "prlimit", refuse)
    assert read_open_files_limit(OWN, os.getpid(), rights) == expected


def test_threads_are_read_as_far_as_asked_for() -> None:
    code = "import threading; e = threading.Event(); [threading.Thread(target=e.wait, daemon=True).start() "
    code += "for _ in range(3)]; print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline()
        path = b"/proc/%d/" % child.pid
        wait_until(lambda: "".join(one.state for one in read_threads(path, False, False)) == "SSSS")

        states, switches = read_threads(path, False, False), read_threads(path, True, False)
        wait_until(lambda: all(one.wchan for one in read_threads(path, True, True)))
        full = read_threads(path, True, True)
    finally:
        child.kill()
        child.communicate()

    assert [one.tid for one in states] == [one.tid for one in switches] == [one.tid for one in full]
    assert {one.counters for one in states} == {()}
    assert [one.counters[4:6] for one in switches] == [one.counters[4:6] for one in full]
    assert sum(one.counters[4] for one in full) > 0
    assert {one.name for one in full} == {"python"} or {one.name for one in full} == {Path(sys.executable).name}
    assert all(one.start_ticks > 0 for one in full)


def test_a_procfs_of_another_namespace_is_known_by_its_link_to_ourselves(tmp_path: Path) -> None:
    assert members.shows_ourselves(REAL)
    assert not members.shows_ourselves(PROCFS)

    (tmp_path / "self").symlink_to(str(os.getpid()))
    (tmp_path / str(os.getpid())).mkdir()
    status = tmp_path / str(os.getpid()) / "status"
    # the same pid by chance, but there it has another one in the namespace below
    status.write_text(f"Name:\tx\nNSpid:\t{os.getpid()}\t7\n")
    assert not members.shows_ourselves(tmp_path)
    status.write_text(f"Name:\tx\nNSpid:\t{os.getpid()}\n")
    assert members.shows_ourselves(tmp_path)


def test_without_taskstats_nothing_is_told_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise TaskStatsError("not permitted")

    monkeypatch.setattr(members, "TaskStats", refuse)

    assert Rights(REAL).ask([os.getpid()], [1]) == {}


def test_a_conversation_that_breaks_is_not_continued(tmp_path: Path) -> None:
    class Broken:
        asked = 0

        def read(self, *_: object) -> None:
            self.asked += 1
            raise TimeoutError

    rights, broken = Rights(copied_procfs(tmp_path)), Broken()
    rights._taskstats = broken  # type: ignore[assignment]

    assert rights.ask([1], []) == {}
    assert rights.ask([1], []) == {}
    assert broken.asked == 1
