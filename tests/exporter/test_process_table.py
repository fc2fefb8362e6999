"""Every process of a procfs, look after look: who is read again, who is not, and what becomes of those who end."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.procfs.members import parse_stat, read_arguments, slurp
from exporter.procfs.processes import ProcessTable
from exporter.procfs.reader import _EVERY
from exporter.procfs.record import Record, Wanted
from exporter.procfs.residents import Residents
from selfheal.common.procfs import MOST_ARGUMENT_BYTES
from tests.exporter.trees import PROCFS, copied_procfs, wait_until

REAL = Path("/proc")
SLEEP = [sys.executable, "-I", "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"]


def open_files() -> int:
    """Return how many files we have open."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Child:
    """A process of ours that sleeps."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(argv or SLEEP, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        if not argv:
            assert self.process.stdout is not None
            self.process.stdout.readline()

    def end(self) -> None:
        """End it and wait for it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def children() -> Iterator[list[Child]]:
    """Processes that end with the test."""
    found: list[Child] = []
    yield found
    for child in found:
        child.end()


def looked(table: ProcessTable) -> ProcessTable:
    """Look once and complete everybody."""
    table.complete(table.look().born)
    return table


def settled(table: ProcessTable, pid: int) -> Record:
    """Look until a process sleeps: it did when it was last read, and has not run since."""
    wait_until(lambda: table.records[pid] not in table.look().changed and table.records[pid].stat.state == "S")
    return table.records[pid]


def test_all_processes_of_this_host_are_there() -> None:
    table = ProcessTable(REAL)
    table.look()

    assert table.records[os.getpid()].stat.ppid == os.getppid()
    assert table.records[1].comm == (REAL / "1/comm").read_text().rstrip("\n")


def test_who_comes_and_who_goes_is_told(children: list[Child]) -> None:
    table = looked(ProcessTable(REAL))
    child = Child()
    children.append(child)

    assert child.pid in [record.pid for record in table.look().born]
    record = settled(table, child.pid)
    child.end()
    assert record in table.look().gone
    assert child.pid not in table.records


def test_one_that_ends_although_nobody_was_born_is_noticed(children: list[Child]) -> None:
    table = looked(ProcessTable(REAL))
    children.append(Child())
    looked(table)
    record = settled(table, children[0].pid)
    wait_until(lambda: not table.look().born)
    children[0].end()

    wait_until(lambda: record in table.look().gone)


def test_memory_of_who_does_not_run_is_brought_up_to_date(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(bytes(1 << 22))
    code = "import mmap, sys; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0); m[::4096]; "
    code += "print(flush=True); sys.stdin.read()"
    child = Child(sys.executable, "-I", "-c", code, str(file))
    try:
        assert child.process.stdout is not None and child.process.stdout.readline()
        table = looked(ProcessTable(REAL))
        record = settled(table, child.pid)
        before, readings = record.resident_pages, record.readings
        # its pages vanish although it sleeps, as when memory is short
        os.truncate(file, 0)
        look = table.look()

        assert record.readings == readings
        assert record in look.resized
        assert before - record.resident_pages >= 1024
        assert record.resident_pages == int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
    finally:
        child.end()


def test_a_statm_that_changes_alone_resizes_its_process(tmp_path: Path) -> None:
    record = Residency(tmp_path, most=10)
    record.write(7)
    assert record.read() == (7, True)

    record.write(9)
    assert record.read() == (9, True)
    assert record.read() == (9, False)


class Residency:
    """One process of a made tree and the memory that is read of it."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder
        self.write(1)
        (folder / "stat").write_bytes(b"5 (sh) S 1 " + b"1 " * 30)
        self.record = Record(5, os.fsencode(folder) + b"/", parse_stat((folder / "stat").read_bytes()), 0)
        self.residents = Residents(most)
        self.residents.arrange([self.record])

    def write(self, pages: int) -> None:
        """Let it have so much memory."""
        with open(self.folder / "statm", "r+b" if (self.folder / "statm").exists() else "wb") as file:
            file.write(b"100 %d 0 0 0 0 0\n" % pages)

    def read(self, ran: bool = False) -> tuple[int, bool]:
        """Return its pages, and whether that is told to have changed."""
        changed, _ = self.residents.read([ran])
        return self.record.resident_pages, self.record in changed


def test_beyond_the_cap_nothing_is_held_and_one_look_in_four_reads(tmp_path: Path) -> None:
    record = Residency(tmp_path, most=0)
    for pages in (7, 8):
        record.write(pages)
        assert [record.read()[1] for _ in range(4)].count(True) == 1
        assert record.record.resident_pages == pages

    assert record.residents.held == 0


def test_what_is_held_is_given_back(tmp_path: Path) -> None:
    before = open_files()
    record = Residency(tmp_path, most=10)
    record.read()
    assert record.residents.held == 1
    assert record.record.descriptor >= 1024 or resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1600

    record.residents.close()
    assert open_files() == before
    again = Residency(tmp_path, most=10)
    again.read()
    again.residents.release(again.record)
    assert (again.residents.held, again.record.descriptor) == (0, -1)
    assert open_files() == before


def test_a_table_that_goes_away_holds_no_files(children: list[Child]) -> None:
    before = open_files()
    table = looked(ProcessTable(REAL))
    table.look()
    assert open_files() > before
    table.close()
    table.look()
    del table

    assert open_files() == before


def test_a_low_limit_of_open_files_is_respected(tmp_path: Path) -> None:
    code = f"""
import os, resource, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))
from pathlib import Path
from exporter.procfs.residents import Residents
print(Residents(2500)._room)
from exporter.procfs.processes import ProcessTable
table = ProcessTable(Path("/proc"))
table.look(); table.look(); table.look()
print(max(map(int, os.listdir("/proc/self/fd"))) < 600)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["88", "True"]


def test_a_captured_tree_is_read_whole_at_every_look(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    table = looked(ProcessTable(procfs))

    assert {record.pid for record in table.look().changed} == {1, 2, 15, 800, 805, 806, 810, 811, 900, 901}
    (procfs / "900/cmdline").write_bytes(b"other\0")
    version = table.records[900].version
    table.look()
    assert table.records[900].arguments == b"other\0"
    assert table.records[900].version == version + 1


def test_a_pid_that_another_process_has_taken_is_a_birth_and_a_death_in_one_look(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    table = looked(ProcessTable(procfs))
    old = table.records[900]
    stat = procfs / "900/stat"
    words = stat.read_text().split(" ")
    words[21] = "9999"
    stat.write_text(" ".join(words))

    look = table.look()

    assert [record.pid for record in look.born] == [900]
    assert look.gone == [old]
    assert table.records[900].stat.start_ticks == 9999
    assert table.records[900].readings == 0


def test_one_that_cannot_be_read_stays_and_is_tried_at_every_look(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    table = looked(ProcessTable(procfs))
    whole = (procfs / "900/stat").read_bytes()
    (procfs / "900/stat").write_bytes(b"900 (torn")

    look = table.look()
    assert (look.broken, look.unreadable, look.gone) == ([table.records[900]], 1, [])
    assert table.records[900].unreadable
    (procfs / "900/stat").write_bytes(whole)
    assert table.records[900] in table.look().changed
    assert not table.records[900].unreadable


def test_an_exec_is_seen_by_the_place_of_the_stack_although_the_name_is_the_same(children: list[Child]) -> None:
    code = "import os, sys; sys.stdin.readline(); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    sleep = "import sys; sys.stdin.read()"
    child = Child(sys.executable, "-I", "-S", "-c", code, "-I", "-S", "-c", sleep, "second")
    children.append(child)
    table = looked(ProcessTable(REAL))
    for _ in range(4):
        table.look()
    record = settled(table, child.pid)
    comm, version = record.stat.comm, record.version
    # past those readings that look at the arguments in any case
    record.readings = 2 * _EVERY - record.pid % _EVERY + 1
    assert child.process.stdin is not None
    child.process.stdin.write(b"\n")
    child.process.stdin.flush()

    wait_until(lambda: table.look() and record.arguments.endswith(b"second\0") and record.version > version)
    assert record.readings < 3 * _EVERY - record.pid % _EVERY
    assert record.arguments.split(b"\0")[1] == b"-I"
    assert record.stat.comm == comm


def test_an_exec_is_seen_although_the_kernel_puts_every_stack_in_the_same_place(
    tmp_path: Path, children: list[Child]
) -> None:
    first = "import os, sys; print(flush=True); sys.stdin.readline(); python, *flags, first, second = sys.orig_argv; "
    first += "os.execv(python, [python, *flags, second, first])"
    second = "import sys; sys.stdin.read()"
    # without randomness two programs with equally long arguments have their stacks in one place
    begin = "import ctypes, os, sys; ctypes.CDLL(None).personality(0x0040000); os.execv(sys.argv[1], sys.argv[1:])"
    flags = (sys.executable, "-I", "-S", "-c")
    child = Child(sys.executable, "-c", begin, *flags, first, second)
    children.append(child)
    assert child.process.stdout is not None and child.process.stdout.readline()
    for name in ("loadavg", "swaps", str(child.pid), str(os.getpid())):
        (tmp_path / name).symlink_to(REAL / name)
    (tmp_path / "self").symlink_to(str(os.getpid()))
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/randomize_va_space").write_text("0\n")
    table = looked(ProcessTable(tmp_path))
    for _ in range(4):
        table.look()
    record = settled(table, child.pid)
    # past those readings that look at the arguments in any case
    record.readings = 2 * _EVERY - record.pid % _EVERY + 1
    assert child.process.stdin is not None
    child.process.stdin.write(b"\n")
    child.process.stdin.flush()

    wait_until(lambda: table.look() and record.arguments.split(b"\0")[4:5] == [second.encode()])
    assert record.readings < 3 * _EVERY - record.pid % _EVERY


WRITES = """
import sys, threading
def write():
    with open(sys.argv[1], "wb", 0) as file:
        file.write(bytes(1 << 20))
for line in sys.stdin:
    if line == "thread\\n":
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    elif line == "write\\n":
        write()
    print(flush=True)
"""


@pytest.mark.parametrize("way", ["write", "thread"])
def test_what_is_written_is_seen_also_when_a_thread_that_came_and_went_wrote_it(tmp_path: Path, way: str) -> None:
    child = Child(sys.executable, "-I", "-c", WRITES, str(tmp_path / "file"))
    try:
        table = ProcessTable(REAL)

        def tell(word: str) -> Record:
            assert child.process.stdin is not None and child.process.stdout is not None
            child.process.stdin.write(f"{word}\n".encode())
            child.process.stdin.flush()
            child.process.stdout.readline()
            look = table.look()
            table.records[child.pid].member = True
            table.complete([record for record in look.born if record.member])
            return settled(table, child.pid)

        for _ in range(5):
            record = tell("nothing")
        # past those readings that read everything in any case
        record.readings = 2 * _EVERY - record.pid % _EVERY + 1
        before = record.counters[-1]
        tell("nothing")
        assert record.counters[-1] == before

        assert tell(way).counters[-1] >= before + (1 << 20)
        # a thread that was joined may still be on its way out of the kernel
        assert any(tell("nothing").stat.threads == 1 for _ in range(100))
    finally:
        child.end()


def test_only_so_much_of_a_command_line_is_kept_that_nobody_can_fill_memory_with_it(tmp_path: Path) -> None:
    path = tmp_path / "cmdline"
    path.write_bytes(b"sleep\0" + b"0" * 3_000_000)

    assert len(read_arguments(f"{tmp_path}/".encode())) == MOST_ARGUMENT_BYTES
    assert len(slurp(bytes(path))) == path.stat().st_size


def test_limits_are_not_forgotten_when_a_process_becomes_a_member(children: list[Child]) -> None:
    children.append(Child())
    table = looked(ProcessTable(REAL, Wanted(open_files=True)))
    record = settled(table, children[0].pid)
    assert (record.counters, record.limit) == ((), 0.0)
    record.member = True
    table.complete([record])

    assert len(record.counters) == 8
    assert record.limit == resource.prlimit(record.pid, resource.RLIMIT_NOFILE)[0]
    assert record.open_files == 3


def test_more_is_read_of_all_once_more_is_wanted(children: list[Child]) -> None:
    children.append(Child())
    table = looked(ProcessTable(REAL))
    record = settled(table, children[0].pid)
    assert record.open_files == 0
    table.wanted = Wanted(open_files=True)
    table.look()

    assert record.open_files == 3


def test_the_page_comes_while_processes_start_and_end_all_the_time() -> None:
    code = """
import os
while True:
    pid = os.fork()
    if not pid:
        os.execv("/bin/true", ["churn"]) if os.getpid() % 7 == 0 else os._exit(0)
    os.waitpid(pid, 0)
"""
    churns = [subprocess.Popen([sys.executable, "-I", "-c", code]) for _ in range(2)]
    try:
        table = ProcessTable(REAL, Wanted(open_files=True, thread_states=True))
        born = [record.pid for record in table.look().born]
        others = len(table.records)

        def has_seen_many() -> bool:
            look = table.look()
            for record in look.born:
                record.member = True
            table.complete(look.born)
            born.extend(record.pid for record in look.born)
            assert os.getpid() in table.records
            assert look.unreadable == 0
            return len(born) > others + 300

        wait_until(has_seen_many, 40)
        assert len(table.records) < others + 500
    finally:
        for churn in churns:
            churn.kill()
            churn.wait()


FILES = ("stat", "statm", "status", "cmdline", "io", "limits", "task/810/status", "wchan")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "800", "810", "811", "900", "901"]),
            st.sampled_from(FILES),
            st.one_of(st.none(), st.binary(max_size=80), st.integers(0, 300)),
        ),
        max_size=8,
    )
)
def test_garbage_below_procfs_never_stops_a_look(tmp_path: Path, damage: list[tuple[str, str, object]]) -> None:
    procfs = tmp_path / "procfs"
    shutil.rmtree(procfs, ignore_errors=True)
    shutil.copytree(PROCFS, procfs)
    table = looked(ProcessTable(procfs, Wanted(open_files=True, thread_states=True, threads=True)))
    for record in table.records.values():
        record.member = True
    table.complete(table.records.values())
    for pid, name, data in damage:
        path = procfs / pid / name
        if not path.parent.exists():
            continue
        if data is None:
            path.unlink(missing_ok=True)
        elif isinstance(data, int):
            whole = path.read_bytes() if path.exists() else b""
            path.write_bytes(whole[:data])
        else:
            path.write_bytes(data)

    for _ in range(3):
        look = table.look()
        table.complete(look.born)
        assert 2 in table.records
        assert look.unreadable <= len(damage)
