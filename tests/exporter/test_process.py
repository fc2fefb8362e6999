"""Groups of processes: on a captured tree, on broken ones, and on this kernel with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.procfs.processes import ProcessTable
from exporter.procfs.record import Wanted
from exporter.settings import IncompleteError
from selfheal.common.clock import ManualClock
from selfheal.common.processes import Grouping, members, zombie_children
from tests.exporter.trees import GROUPS, PROCFS, copied_procfs, create, values, wait_until

REAL = Path("/proc")
PREFIX = "namedprocess_namegroup_"


def edit_stat(procfs: Path, pid: int, **fields: int) -> None:
    """Change fields of a captured stat, by name."""
    places = {"ppid": 1, "minor": 7, "user": 11, "system": 12, "threads": 17, "start": 19}
    path = procfs / str(pid) / "stat"
    head, _, tail = path.read_text().rpartition(")")
    words = tail.split()
    for name, value in fields.items():
        words[places[name]] = str(value)
    path.write_text(f"{head}) {' '.join(words)}\n")


def remove(procfs: Path, pid: int) -> None:
    """End a captured process."""
    for path in sorted((procfs / str(pid)).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (procfs / str(pid)).rmdir()


def groups_file(tmp_path: Path, text: str) -> str:
    """Write a groups file and return the flag for it."""
    path = tmp_path / "groups.yml"
    path.write_text(text)
    return f"--config.path={path}"


def cpu(found: dict[str, str], group: str, mode: str = "user") -> float:
    """Return a group's CPU seconds."""
    return float(found[f'{PREFIX}cpu_seconds_total{{groupname="{group}",mode="{mode}"}}'])


@pytest.fixture
def captured() -> dict[str, str]:
    """The groups of the captured tree."""
    return values(create("process", f"--config.path={GROUPS}")())


def test_members_are_counted_by_group(captured: dict[str, str]) -> None:
    found = {series: value for series, value in captured.items() if series.startswith(f"{PREFIX}num_procs")}

    # the web server with its worker and its helper, who match nothing themselves; its two zombies are no members
    assert found == {
        f'{PREFIX}num_procs{{groupname="web"}}': "3",
        f'{PREFIX}num_procs{{groupname="backup"}}': "0",
        f'{PREFIX}num_procs{{groupname="queue-mail"}}': "1",
        f'{PREFIX}num_procs{{groupname="queue-pdf"}}': "1",
    }


def test_the_exporter_and_the_actions_agree_on_groups(captured: dict[str, str]) -> None:
    grouping = Grouping.load(GROUPS)

    for group, processes in members(PROCFS, grouping).items():
        assert captured[f'{PREFIX}num_procs{{groupname="{group}"}}'] == str(len(processes))
        memory = sum(process.resident_bytes for process in processes)
        assert captured[f'{PREFIX}memory_bytes{{groupname="{group}",memtype="resident"}}'] == str(memory)
    for group, pairs in zombie_children(PROCFS, grouping).items():
        assert captured[f'selfheal_process_group_zombies{{groupname="{group}"}}'] == str(len(pairs))


def test_a_literal_group_without_members_is_zero_everywhere(captured: dict[str, str]) -> None:
    backup = {series: value for series, value in captured.items() if '"backup"' in series}

    assert len(backup) == 24
    assert {float(value) for value in backup.values()} == {0.0}


def test_zombies_belong_to_the_group_of_their_parent(captured: dict[str, str]) -> None:
    assert captured['selfheal_process_group_zombies{groupname="web"}'] == "2"
    assert captured['selfheal_process_group_zombies{groupname="queue-pdf"}'] == "0"
    assert captured["selfheal_zombies"] == "2"


def test_the_oldest_and_the_largest_member_are_named_by_value(captured: dict[str, str]) -> None:
    assert captured['selfheal_process_group_oldest_start_time_seconds{groupname="web"}'] == str(1700000000 + 40)
    assert captured[f'{PREFIX}oldest_start_time_seconds{{groupname="web"}}'] == str(1700000000 + 40)
    pages = max(int((PROCFS / pid / "statm").read_text().split()[1]) for pid in ("800", "810", "811"))
    assert captured['selfheal_process_group_largest_resident_bytes{groupname="web"}'] == str(pages * 4096)


def test_each_thread_has_one_state_and_the_main_thread_is_counted_once(captured: dict[str, str]) -> None:
    states = {series: int(value) for series, value in captured.items() if f'{PREFIX}states{{groupname="web"' in series}

    assert captured[f'{PREFIX}num_threads{{groupname="web"}}'] == "6"
    assert sum(states.values()) == 6
    assert len(states) == 5


def test_context_switches_are_summed_over_threads(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    # born after us, so that everything counts
    edit_stat(procfs, 810, start=9000000)
    found = values(create("process", f"--config.path={GROUPS}", procfs=procfs)())

    def switches(pid: int, path: str) -> int:
        lines = (procfs / str(pid) / path / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("voluntary"))

    threads = sum(switches(810, f"task/{thread}") for thread in (810, 811, 812, 813))
    series = f'{PREFIX}context_switches_total{{groupname="web",ctxswitchtype="voluntary"}}'
    assert found[series] == str(threads + switches(811, "."))


def test_descriptors_are_counted_against_their_limit(captured: dict[str, str]) -> None:
    assert captured[f'{PREFIX}open_filedesc{{groupname="web"}}'] == str(6 + 9 + 3)
    assert captured[f'{PREFIX}worst_fd_ratio{{groupname="web"}}'] == str(9 / 20000)


def test_at_first_sight_only_what_is_younger_than_us_counts_in_full(captured: dict[str, str]) -> None:
    # of the group only the helper was born after the captured uptime
    assert cpu(captured, "web") == 0.4
    assert cpu(captured, "web", "system") == 0.02
    assert cpu(captured, "queue-mail") == 0.0


def test_counters_grow_by_what_members_use_and_never_fall_when_one_ends(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create("process", f"--config.path={GROUPS}", procfs=procfs)
    collect()
    edit_stat(procfs, 810, user=9011)
    assert cpu(values(collect()), "web") == 0.5

    remove(procfs, 810)
    remove(procfs, 811)
    found = values(collect())

    assert cpu(found, "web") == 0.5
    assert found[f'{PREFIX}num_procs{{groupname="web"}}'] == "1"


def test_ticks_are_summed_without_drift(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create("process", f"--config.path={GROUPS}", procfs=procfs)
    collect()
    for ticks in range(9002, 9012):
        edit_stat(procfs, 810, user=ticks)
        found = values(collect())

    assert found[f'{PREFIX}cpu_seconds_total{{groupname="web",mode="user"}}'] == "0.5"


def test_a_pid_taken_by_another_process_begins_anew(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create("process", f"--config.path={GROUPS}", procfs=procfs)
    collect()
    # the same pid and name, another start: 30 ticks are all its own, though its counter is lower than the old one's
    edit_stat(procfs, 900, start=9000001, user=30)

    assert cpu(values(collect()), "queue-mail") == 0.3


def test_a_process_that_leaves_its_group_and_comes_back_is_not_counted_twice(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create("process", f"--config.path={GROUPS}", procfs=procfs)
    collect()
    edit_stat(procfs, 811, ppid=1)
    assert cpu(values(collect()), "web") == 0.4
    edit_stat(procfs, 811, ppid=800, user=41)

    assert cpu(values(collect()), "web") == 0.41


def test_a_process_that_becomes_another_program_changes_group(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create("process", f"--config.path={GROUPS}", procfs=procfs)
    collect()
    (procfs / "901/cmdline").write_bytes(b"/usr/sbin/web\0")

    found = values(collect())

    assert found[f'{PREFIX}num_procs{{groupname="web"}}'] == "4"
    assert found[f'{PREFIX}num_procs{{groupname="queue-pdf"}}'] == "0"


def test_a_group_named_by_its_members_is_dropped_some_time_after_the_last(tmp_path: Path) -> None:
    procfs, clock = copied_procfs(tmp_path), ManualClock()
    collect = create("process", f"--config.path={GROUPS}", procfs=procfs, clock=clock)
    collect()
    remove(procfs, 900)
    series = f'{PREFIX}num_procs{{groupname="queue-mail"}}'

    assert values(collect())[series] == "0"
    clock.advance(300)
    assert values(collect())[series] == "0"
    clock.advance(1)
    assert series not in values(collect())
    assert f'{PREFIX}num_procs{{groupname="backup"}}' in values(collect())


def test_io_that_may_not_be_read_is_counted_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = os.open

    def refuse(path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        # root, who may run this test, is refused nothing
        if bytes(path).endswith(b"/io"):
            raise PermissionError(13, "Permission denied", path)
        return really_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    found = values(create("process", f"--config.path={GROUPS}")())

    assert found["namedprocess_scrape_partial_errors"] == "5"
    assert found["namedprocess_scrape_procread_errors"] == "0"
    assert found[f'{PREFIX}num_procs{{groupname="web"}}'] == "3"


def test_open_files_that_may_not_be_counted_make_no_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    really_list = os.listdir

    def refuse(path: bytes) -> list[bytes]:
        # root, who may run this test, is refused nothing
        if bytes(path).endswith(b"/fd") and b"/900/" not in bytes(path):
            raise PermissionError(13, "Permission denied", path)
        return really_list(path)

    whole = values(create("process", f"--config.path={GROUPS}")())
    monkeypatch.setattr(os, "listdir", refuse)
    found = values(create("process", f"--config.path={GROUPS}")())

    ratios = {series: float(value) for series, value in found.items() if "worst_fd_ratio" in series}
    mail = f'{PREFIX}worst_fd_ratio{{groupname="queue-mail"}}'
    assert ratios[mail] == float(whole[mail]) > 0
    assert {value for series, value in ratios.items() if series != mail} == {0}


def test_a_kernel_without_io_accounting_keeps_its_groups(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    for path in procfs.glob("*/io"):
        path.unlink()

    found = values(create("process", f"--config.path={GROUPS}", procfs=procfs)())

    assert found[f'{PREFIX}num_procs{{groupname="web"}}'] == "3"
    assert found[f'{PREFIX}read_bytes_total{{groupname="web"}}'] == "0"


@pytest.mark.parametrize("file", ["stat", "statm"])
@pytest.mark.parametrize("data", [b"", b"810 (web"], ids=["empty", "truncated"])
def test_a_broken_entry_is_counted_and_the_others_stay(tmp_path: Path, file: str, data: bytes) -> None:
    procfs = copied_procfs(tmp_path)
    (procfs / "810" / file).write_bytes(data)

    with pytest.raises(IncompleteError, match="1 processes could not be read") as caught:
        create("process", f"--config.path={GROUPS}", procfs=procfs)()

    found = values(caught.value.families)
    assert found["namedprocess_scrape_procread_errors"] == "1"
    assert found[f'{PREFIX}num_procs{{groupname="web"}}'] == "2"


@pytest.mark.parametrize("file", ["stat", "cmdline", "statm", "status", "limits"])
def test_an_entry_whose_file_is_gone_has_ended(tmp_path: Path, file: str) -> None:
    procfs = copied_procfs(tmp_path)
    (procfs / "810" / file).unlink()

    found = values(create("process", f"--config.path={GROUPS}", procfs=procfs)())

    assert found["namedprocess_scrape_procread_errors"] == "0"
    assert found[f'{PREFIX}num_procs{{groupname="web"}}'] == "2"


@pytest.mark.parametrize("file", ["uptime", "stat"])
def test_without_the_hosts_own_files_there_are_no_groups(tmp_path: Path, file: str) -> None:
    procfs = copied_procfs(tmp_path)
    text = (procfs / file).read_text()
    (procfs / file).write_text("")
    collect = create("process", f"--config.path={GROUPS}", procfs=procfs)

    with pytest.raises(IncompleteError, match="cannot read processes") as caught:
        collect()

    assert values(caught.value.families)["namedprocess_scrape_errors"] == "1"
    assert len(values(caught.value.families)) == 3
    (procfs / file).write_text(text)
    assert values(collect())["namedprocess_scrape_errors"] == "1"


def test_without_a_config_there_are_no_groups_but_zombies() -> None:
    found = values(create("process")())

    assert found["selfheal_zombies"] == "2"
    assert not [series for series in found if "groupname" in series]


def test_a_wrong_config_is_refused_with_all_its_errors(tmp_path: Path) -> None:
    flag = groups_file(tmp_path, "process_names: [{name: a}, {comm: sh}]")

    with pytest.raises(ValueError) as caught:
        create("process", flag)

    assert len(str(caught.value).splitlines()) == 2


def test_users_name_groups(tmp_path: Path) -> None:
    flag = groups_file(tmp_path, "process_names: [{name: 'u-{{.Username}}', cmdline: ['queue']}]")
    procfs = copied_procfs(tmp_path)
    for pid in (900, 901):
        (procfs / str(pid) / "status").write_text("Uid:\t987654\t987654\t987654\t987654\n")

    found = values(create("process", flag, procfs=procfs)())

    assert found[f'{PREFIX}num_procs{{groupname="u-987654"}}'] == "2"


@pytest.fixture
def spinner() -> Iterator[subprocess.Popen[str]]:
    """A process of this kernel that works when told to."""
    code = """
import sys, os, threading
wait = threading.Event()
for line in sys.stdin:
    if line == "work\\n":
        sum(range(3_000_000))
    elif line == "grow\\n":
        kept = bytearray(50_000_000)
        kept[::4096] = b"x" * len(kept[::4096])
    elif line == "open\\n":
        files = [open("/dev/null") for _ in range(20)]
    elif line == "thread\\n":
        [threading.Thread(target=wait.wait, daemon=True).start() for _ in range(3)]
    elif line == "zombie\\n":
        os.fork() or os._exit(0)
    elif line == "exec\\n":
        os.execv("/bin/sleep", ["patient-sleep", "60"])
    print("done", flush=True)
"""
    argv = [sys.executable, "-I", "-c", code, "patient-spinner"]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield child
    child.kill()
    child.communicate()


def tell(child: subprocess.Popen[str], word: str) -> None:
    """Give the spinner a task and wait until it is done."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{word}\n")
    child.stdin.flush()
    assert child.stdout.readline() == "done\n"


SPINNER = "process_names: [{name: spinner, cmdline: [patient-spinner$]}, {name: sleep, exe: [patient-sleep]}]"


def test_what_a_real_process_does_is_seen(tmp_path: Path, spinner: subprocess.Popen[str]) -> None:
    tell(spinner, "work")
    collect = create("process", groups_file(tmp_path, SPINNER), procfs=REAL)
    before = values(collect())
    for word in ("work", "grow", "open", "thread", "zombie"):
        tell(spinner, word)
    wait_until(lambda: values(collect())['selfheal_process_group_zombies{groupname="spinner"}'] == "1")
    after = values(collect())

    def grown(series: str) -> float:
        return float(after[f"{PREFIX}{series}"]) - float(before[f"{PREFIX}{series}"])

    # it is older than the collector, so what it used before is not counted
    assert cpu(before, "spinner") == 0 < cpu(after, "spinner")
    assert grown('memory_bytes{groupname="spinner",memtype="resident"}') > 45_000_000
    assert grown('open_filedesc{groupname="spinner"}') == 20
    assert grown('num_threads{groupname="spinner"}') == 3
    assert grown('minor_page_faults_total{groupname="spinner"}') > 0
    assert grown('context_switches_total{groupname="spinner",ctxswitchtype="voluntary"}') > 0
    assert after[f'{PREFIX}num_procs{{groupname="spinner"}}'] == "1"


def test_a_real_exec_changes_the_group_at_the_next_look(tmp_path: Path, spinner: subprocess.Popen[str]) -> None:
    collect = create("process", groups_file(tmp_path, SPINNER), procfs=REAL)
    tell(spinner, "work")
    assert values(collect())[f'{PREFIX}num_procs{{groupname="spinner"}}'] == "1"
    assert spinner.stdin is not None
    spinner.stdin.write("exec\n")
    spinner.stdin.flush()

    wait_until(lambda: values(collect())[f'{PREFIX}num_procs{{groupname="sleep"}}'] == "1")
    assert values(collect())[f'{PREFIX}num_procs{{groupname="spinner"}}'] == "0"


def test_a_process_that_has_not_run_is_not_read_again_and_still_right(spinner: subprocess.Popen[str]) -> None:
    table = ProcessTable(REAL, Wanted(open_files=True))
    tell(spinner, "work")
    table.complete(table.look().born)
    record = table.records[spinner.pid]
    # it goes to sleep on its next line by itself
    wait_until(lambda: record not in table.look().changed)
    kept = record.stat

    assert record not in table.look().changed
    assert record.stat is kept
    fresh = ProcessTable(REAL)
    fresh.look()
    assert fresh.records[spinner.pid].stat == kept

    tell(spinner, "work")
    assert record in table.look().changed
    assert record.stat.user_ticks >= kept.user_ticks


def test_a_sleeping_orphan_leaves_the_group_of_its_dead_ancestor(tmp_path: Path) -> None:
    code = "import subprocess; p = subprocess.Popen(['sleep', '60'], stdout=-3); print(p.pid, flush=True); input()"
    argv = [sys.executable, "-I", "-c", code, "patient-parent"]
    parent = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    try:
        flag = groups_file(tmp_path, "process_names: [{name: family, cmdline: [patient-parent$]}]")
        collect = create("process", flag, procfs=REAL)
        series = f'{PREFIX}num_procs{{groupname="family"}}'
        wait_until(lambda: values(collect())[series] == "2")
        parent.kill()
        parent.communicate()

        assert values(collect())[series] == "0"
    finally:
        os.kill(orphan, 9)
        parent.kill()
        parent.communicate()
