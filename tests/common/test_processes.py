"""Identity and grouping: real processes where the kernel decides, small made trees where the text does."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.common.processes import (
    Grouping,
    Process,
    boot_id,
    boot_time,
    list_pids,
    members,
    nearest_groups,
    read_process,
    zombie_children,
)
from selfheal.common.procfs import MOST_ARGUMENT_BYTES, PAGE_BYTES, ProcessFolder, parse_argv, parse_stat

PROC = Path("/proc")


def put(procfs: Path, pid: int, ppid: int = 1, comm: str = "sh", *, argv: tuple[str, ...] = (), **more: object) -> None:
    """Write one process into a made proc tree."""
    folder = procfs / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    state, start, uid = more.get("state", "S"), more.get("start", 100), more.get("uid", 0)
    threads, pages = more.get("threads", 1), more.get("pages", 7)
    stat = f"{pid} ({comm}) {state} {ppid} 1 1 0 -1 0 5 0 2 0 30 12 0 0 20 0 {threads} 0 {start} 8192 {pages} 0 0\n"
    (folder / "stat").write_bytes(stat.encode())
    (folder / "cmdline").write_bytes("".join(f"{text}\0" for text in argv).encode())
    (folder / "statm").write_text(f"2 {pages} 0 0 0 0 0\n")
    (folder / "status").write_text(f"Name:\tx\nUid:\t9\t{uid}\t9\t9\n")


def load(tmp_path: Path, text: str) -> Grouping:
    """Load a config from its text."""
    path = tmp_path / "processes.yml"
    path.write_text(text)
    return Grouping.load(path)


def wait_until(condition: object) -> None:
    """Wait for a condition to hold, at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition never held"
        os.sched_yield()


def process(**fields: object) -> Process:
    """Return a process value with defaults."""
    defaults: dict[str, object] = {
        "pid": 10, "start_ticks": 1, "uid": 0, "ppid": 1, "comm": "sh", "argv": ("/bin/sh", "-c", "x"),
        "exe": "/bin/sh", "state": "S", "resident_bytes": 1, "cpu_ticks": 1,
    }  # fmt: skip
    return Process(**(defaults | fields))  # type: ignore[arg-type]


@pytest.fixture
def zombie() -> Iterator[int]:
    """A child of ours that has ended and that we have not waited for."""
    child = subprocess.Popen(["true"])
    yield child.pid
    child.wait()


def test_our_own_process_is_read_as_python_knows_it() -> None:
    mine = read_process(PROC, os.getpid())

    assert mine is not None
    assert (mine.pid, mine.ppid, mine.uid) == (os.getpid(), os.getppid(), os.geteuid())
    assert mine.argv == tuple(Path("/proc/self/cmdline").read_text().rstrip("\0").split("\0"))
    assert mine.exe == mine.argv[0]
    assert mine.resident_bytes > 1_000_000
    assert mine.cpu_ticks == pytest.approx(sum(os.times()[:2]) * 100, abs=20)


def test_a_process_that_has_ended_is_none() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()

    assert read_process(PROC, child.pid) is None


def test_a_folder_held_open_never_shows_a_process_that_took_the_pid() -> None:
    child = subprocess.Popen(["sleep", "60"])
    with ProcessFolder(PROC, child.pid) as folder:
        assert parse_stat(folder.read("stat")).ppid == os.getpid()
        child.kill()
        child.wait()

        with pytest.raises(ProcessLookupError):
            folder.read("stat")


def test_processes_may_vanish_while_all_are_read(tmp_path: Path) -> None:
    grouping = load(tmp_path, "process_names: [{name: churn, comm: [churned]}]")
    code = "import os\nwhile True:\n    pid = os.fork()\n    if not pid: os._exit(0)\n    os.waitpid(pid, 0)"
    child = subprocess.Popen([sys.executable, "-I", "-c", code])
    try:
        for _ in range(20):
            assert members(PROC, grouping) == {"churn": ()}
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    "comm",
    ["a b", "a) S 1 (b", "a\nb", "((", "))", ") Z 99", "한글", ""],
    ids=["space", "looks_like_fields", "newline", "opened", "closed", "fake_state", "korean", "empty"],
)
def test_a_hostile_name_does_not_move_the_fields(tmp_path: Path, comm: str) -> None:
    put(tmp_path, 5, 3, comm, start=77)

    found = read_process(tmp_path, 5)

    assert found is not None
    assert (found.comm, found.state, found.ppid, found.start_ticks) == (comm, "S", 3, 77)


@given(name=st.binary(max_size=15).filter(lambda name: b"\0" not in name))
def test_any_name_the_kernel_allows_is_parsed(name: bytes) -> None:
    found = parse_stat(b"1 (" + name + b") R 9 1 1 0 -1 0 1 0 2 0 3 4 0 0 20 0 6 0 7 8 9 0\n")

    assert (found.state, found.ppid, found.threads, found.start_ticks) == ("R", 9, 6, 7)
    found.comm.encode("utf-8")


def test_the_kernel_shows_a_real_hostile_name() -> None:
    code = "open('/proc/self/comm', 'w').write('x) Z 1 (\\n y'); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout and child.stdout.readline()
        found = read_process(PROC, child.pid)

        assert found is not None
        assert found.comm == "x) Z 1 (\n y"
        assert found.ppid == os.getpid()
        assert not found.is_zombie
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a stat line: no name in parentheses"),
        (b"5 (sh) S 1 2", "not a whole stat line: 3 fields after the name, at least 22 expected"),
        (b"5 )sh( S", "not a stat line: no name in parentheses"),
    ],
    ids=["empty", "truncated", "reversed"],
)
def test_a_broken_stat_is_an_error_that_names_the_file(tmp_path: Path, data: bytes, reason: str) -> None:
    put(tmp_path, 5)
    (tmp_path / "5/stat").write_bytes(data)

    with pytest.raises(OSError) as caught:
        read_process(tmp_path, 5)

    assert caught.value.filename == f"{tmp_path}/5/stat"
    assert caught.value.strerror == f"cannot understand it: {reason}"


def test_an_unreadable_entry_raises(tmp_path: Path) -> None:
    put(tmp_path, 5)
    (tmp_path / "5/stat").unlink()
    # a folder cannot be read by anyone, not even by root
    (tmp_path / "5/stat").mkdir()

    with pytest.raises(IsADirectoryError):
        read_process(tmp_path, 5)


def test_a_file_that_is_gone_means_the_process_is_gone(tmp_path: Path) -> None:
    put(tmp_path, 5)
    (tmp_path / "5/cmdline").unlink()

    assert read_process(tmp_path, 5) is None


@pytest.mark.parametrize(
    ("data", "argv"),
    [(b"", ()), (b"a\0b c\0", ("a", "b c")), (b"title: idle\0\0\0", ("title: idle",)), (b"\xff\0", ("\ufffd",))],
    ids=["none", "two", "title", "not_utf8"],
)
def test_arguments_are_split_at_nul(data: bytes, argv: tuple[str, ...]) -> None:
    assert parse_argv(data) == argv


def test_a_long_command_line_is_read_whole() -> None:
    child = subprocess.Popen(["sleep", "60", *["0" * 1000] * 100])
    try:
        wait_until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"sleep"))
        found = read_process(PROC, child.pid)

        # sleep refuses nothing here: zeros are seconds too
        assert found is not None
        assert len(" ".join(found.argv)) == 8 + 100 * 1001
    finally:
        child.kill()
        child.wait()


def test_only_so_much_of_a_command_line_is_read_that_nobody_can_fill_memory_with_it() -> None:
    child = subprocess.Popen(["sleep", "60", *["0" * 1000] * 200])
    try:
        wait_until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"sleep"))
        found = read_process(PROC, child.pid)

        assert found is not None
        assert len(" ".join(found.argv)) == MOST_ARGUMENT_BYTES
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("expression", [".*java.*kafka.Kafka", "(a+)+$", "(?P<x>(a|aa)+)$"])
def test_a_long_command_line_is_matched_in_no_time(tmp_path: Path, expression: str) -> None:
    grouping = load(tmp_path, f"process_names: [{{name: g, cmdline: ['{expression}']}}]")
    begun = time.process_time()

    assert grouping.group_of(process(argv=("java" + "a" * 100, *["java", "aaaa"] * 12_000, "!"))) is None
    # megabytes, as from a reader of another system
    assert grouping.group_of(process(argv=("java!!!!" * 300_000,))) is None
    assert time.process_time() - begun < 5


def test_pids_are_the_numeric_names(tmp_path: Path) -> None:
    for name in ("10", "9", "self", "1a", "٣", "sys"):
        (tmp_path / name).mkdir()

    assert list_pids(tmp_path) == [9, 10]


def test_boot_is_known() -> None:
    assert len(boot_id(PROC)) == 36
    assert boot_time(PROC) == pytest.approx(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), abs=2)


def test_a_stat_without_boot_time_says_so(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu 1 2\n")

    with pytest.raises(ValueError, match=r"no btime in .*/stat"):
        boot_time(tmp_path)


def test_a_zombie_is_attributed_to_its_parent(tmp_path: Path, zombie: int) -> None:
    mine = read_process(PROC, os.getpid())
    assert mine is not None
    grouping = load(
        tmp_path, f"process_names: [{{name: tests, comm: ['{mine.comm}']}}, {{name: none, comm: [nobody]}}]"
    )
    wait_until(lambda: read_process(PROC, zombie).is_zombie)  # type: ignore[union-attr]

    found = zombie_children(PROC, grouping)

    assert (zombie, os.getpid()) in [(child.pid, parent.pid) for child, parent in found["tests"]]
    assert found["none"] == ()
    assert zombie not in [member.pid for member in members(PROC, grouping)["tests"]]


def test_a_zombie_matches_nothing_by_itself(tmp_path: Path) -> None:
    put(tmp_path, 2, 1, "web")
    put(tmp_path, 3, 2, "worker", state="Z")
    put(tmp_path, 4, 1, "worker", state="Z")
    grouping = load(tmp_path, "process_names: [{name: workers, comm: [worker]}, {name: web, comm: [web]}]")

    found = zombie_children(tmp_path, grouping)

    assert [(child.pid, parent.pid) for child, parent in found["web"]] == [(3, 2)]
    assert found["workers"] == ()
    assert members(tmp_path, grouping)["workers"] == ()


def test_a_main_thread_that_ended_alone_is_no_zombie(tmp_path: Path) -> None:
    put(tmp_path, 2, 1, "web", state="Z", threads=4)
    grouping = load(tmp_path, "process_names: [{name: web, comm: [web]}]")

    assert [member.pid for member in members(tmp_path, grouping)["web"]] == [2]


def test_an_unmatched_process_joins_its_nearest_matched_ancestor(tmp_path: Path) -> None:
    put(tmp_path, 1, 0, "init")
    put(tmp_path, 2, 1, "web")
    put(tmp_path, 3, 2, "shell")
    put(tmp_path, 4, 3, "worker")
    put(tmp_path, 5, 4, "shell")
    put(tmp_path, 6, 3, "shell", pages=9)
    put(tmp_path, 7, 99, "orphan")
    grouping = load(
        tmp_path,
        "process_names: [{name: web, comm: [web]}, {name: worker, comm: [worker]}, {name: absent, comm: [absent]}]",
    )

    found = members(tmp_path, grouping)

    assert {name: [member.pid for member in group] for name, group in found.items()} == {
        "web": [2, 3, 6],
        "worker": [4, 5],
        "absent": [],
    }
    assert found["web"][2].resident_bytes == 9 * PAGE_BYTES


def test_parents_of_each_other_have_no_group() -> None:
    assert nearest_groups({1: None, 2: None, 3: "a", 4: None}, {1: 2, 2: 1, 3: 1, 4: 3}) == {3: "a", 4: "a"}


def test_a_very_deep_family_is_walked(tmp_path: Path) -> None:
    deep = 50_000

    found = nearest_groups(
        {pid: "top" if pid == 1 else None for pid in range(deep, 0, -1)}, {n: n - 1 for n in range(deep + 1)}
    )

    assert len(found) == deep


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{name: g, comm: [sh, bash]}", "g"),
        ("{name: g, comm: [bash]}", None),
        ("{name: g, exe: [sh]}", "g"),
        ("{name: g, exe: [/bin/sh]}", "g"),
        ("{name: g, exe: [/usr/bin/sh]}", None),
        ("{name: g, cmdline: ['-c', 'x$']}", "g"),
        ("{name: g, cmdline: ['-c', 'y']}", None),
        ("{name: g, comm: [sh], cmdline: [y]}", None),
        ("{comm: [sh]}", "sh"),
        ("{name: 'a-{{.Comm}}-{{ .ExeBase }}', comm: [sh]}", "a-sh-sh"),
        ("{name: '{{.ExeFull}}:{{.PID}}', comm: [sh]}", "/bin/sh:10"),
        ("{name: '{{.Username}}', comm: [sh]}", pwd.getpwuid(0).pw_name),
        ("{name: 'n-{{.Matches.opt}}', cmdline: ['-(?P<opt>\\w)']}", "n-c"),
        ("{name: 'n-{{.Matches.opt}}', cmdline: ['sh(?P<opt>z)?']}", "n-"),
    ],
)
def test_selectors_and_names_are_process_exporters(tmp_path: Path, entry: str, expected: str | None) -> None:
    grouping = load(tmp_path, f"process_names: [{entry}]")

    assert grouping.group_of(process()) == expected


def test_a_name_is_never_rendered_twice(tmp_path: Path) -> None:
    grouping = load(tmp_path, "process_names: [{name: '{{.Comm}}', comm: ['{{.PID}}']}]")

    assert grouping.group_of(process(comm="{{.PID}}")) == "{{.PID}}"


def test_an_unknown_user_is_a_number(tmp_path: Path) -> None:
    grouping = load(tmp_path, "process_names: [{name: '{{.Username}}', comm: [sh]}]")

    assert grouping.group_of(process(uid=987654)) == "987654"


def test_the_first_rule_wins_and_only_literal_names_exist_without_members(tmp_path: Path) -> None:
    grouping = load(tmp_path, "process_names: [{name: one, comm: [sh]}, {comm: [sh]}, {name: two, exe: [x]}]")

    assert grouping.group_of(process()) == "one"
    assert grouping.names() == ("one", "two")


def test_every_error_is_listed_with_file_key_and_remedy(tmp_path: Path) -> None:
    text = """
process_names:
- name: "{{index .Cgroups 0}}"
  comm: sh
- nme: x
- name: 'a-{{.Matches.port}}'
  cmdline: ['(', 5]
- just text
- name: 'open {{.Comm'
  comm: [a]
other: 1
"""
    with pytest.raises(ValueError) as caught:
        load(tmp_path, text)

    known = (
        "is a Go template that process-exporter would carry out, and here only fields are put in; known are {{.Comm}}, "
        "{{.ExeBase}}, {{.ExeFull}}, {{.Username}}, {{.PID}}, {{.StartTime}}, {{.Cgroups}} and {{.Matches.NAME}}"
    )
    assert str(caught.value).replace(f"{tmp_path}/processes.yml: ", "").splitlines() == [
        "other: unknown key; only process_names is known here",
        "process_names[0].comm: must be a list with at least one text; write [...] around it",
        "process_names[0].name: {{index .Cgroups 0}} " + known,
        "process_names[1].nme: unknown key; known are name, comm, exe, cmdline",
        "process_names[1]: selects nothing; add at least one of comm, exe, cmdline",
        "process_names[2].cmdline[1]: must be a text that is not empty; put it in quotes",
        "process_names[2].cmdline[0]: is not a regular expression (RE2 refuses it: missing ): (); mend or remove it",
        "process_names[2].name: {{.Matches.port}} names no capture; write (?P<port>...) in a cmdline of this entry",
        "process_names[3]: must be a mapping with name and at least one of comm, exe, cmdline",
        "process_names[4].name: a template is opened with {{ and never closed; close it with }}",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file must hold a mapping with the key process_names"),
        ("process_names: []", "process_names: must be a list with at least one group"),
        ("process_names: [{comm: [a], comm: [b]}]", "the key 'comm' stands here twice; keep one"),
        ("a: [", "cannot be read as YAML"),
        ("a: 2001-99-99", "cannot be read as YAML"),
        ("[" * 5000, "cannot be read as YAML"),
    ],
    ids=["empty", "no_groups", "key_twice", "torn", "no_date", "nested"],
)
def test_a_file_that_is_no_config_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        load(tmp_path, text)

    assert str(tmp_path / "processes.yml") in str(caught.value)
    assert reason in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.yml: cannot be read as YAML: .*No such file"):
        Grouping.load(tmp_path / "absent.yml")
