"""Numbers and states of processes and threads, out of the look that the groups are counted by."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from exporter.collectors import process, processes
from exporter.config import make_parser
from exporter.paths import Paths
from exporter.settings import IncompleteError, Settings
from exporter.watch import watch_of
from selfheal.common.clock import ManualClock
from tests.exporter.trees import GROUPS, PROCFS, copied_procfs, create, values, wait_until

REAL = Path("/proc")


@pytest.fixture
def procfs(tmp_path: Path) -> Path:
    """The captured tree with the kernel's own limits."""
    procfs = copied_procfs(tmp_path)
    (procfs / "sys/kernel").mkdir(parents=True, exist_ok=True)
    (procfs / "sys/kernel/threads-max").write_text("7000\n")
    (procfs / "sys/kernel/pid_max").write_text("32768\n")
    return procfs


def test_processes_and_threads_are_counted_by_state(procfs: Path) -> None:
    found = values(create("processes", procfs=procfs)())

    stats = [path.read_text().rpartition(")")[2].split() for path in procfs.glob("[0-9]*/stat")]
    assert found["node_processes_pids"] == str(len(stats)) == "10"
    assert found["node_processes_threads"] == str(sum(int(words[17]) for words in stats))
    for state, count in Counter(words[0] for words in stats).items():
        assert found[f'node_processes_state{{state="{state}"}}'] == str(count)
    threads = {series: int(value) for series, value in found.items() if "threads_state" in series}
    assert sum(threads.values()) == int(found["node_processes_threads"])
    assert found["node_processes_max_threads"] == "7000"
    assert found["node_processes_max_processes"] == "32768"


def test_a_process_that_cannot_be_read_is_told_and_the_others_are_counted(procfs: Path) -> None:
    (procfs / "900/stat").write_text("torn")

    with pytest.raises(IncompleteError, match="1 processes could not be read") as caught:
        create("processes", procfs=procfs)()

    assert values(caught.value.families)["node_processes_pids"] == "9"


def test_states_on_this_host_are_those_of_the_kernel() -> None:
    collect = create("processes", procfs=REAL)

    def agree() -> bool:
        found = values(collect())
        listed = len([name for name in os.listdir(REAL) if name.isdigit()])  # noqa: PTH208
        return found["node_processes_pids"] == str(listed)

    wait_until(agree)
    assert int(values(collect())['node_processes_state{state="R"}']) >= 1


def test_both_collectors_share_one_look_of_a_scrape(procfs: Path) -> None:
    clock = ManualClock()
    settings = Settings(
        Paths(procfs, Path("/sys"), Path("/")), clock, make_parser().parse_args([f"--config.path={GROUPS}"])
    )
    groups, states = process.create(settings), processes.create(settings)
    watch = watch_of(settings)
    groups()
    first = watch._last
    states()
    assert watch._last is first
    states()
    second = watch._last
    assert second is not first
    groups()
    assert watch._last is second

    clock.advance(2)
    states()
    third = watch._last
    clock.advance(2)
    groups()
    assert watch._last is not third


def test_what_one_collector_makes_the_table_see_is_not_lost_for_the_other(procfs: Path) -> None:
    settings = Settings(
        Paths(procfs, Path("/sys"), Path("/")),
        ManualClock(),
        make_parser().parse_args([f"--config.path={GROUPS}"]),
    )
    groups, states = process.create(settings), processes.create(settings)
    groups()
    states()
    for path in sorted((procfs / "900").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (procfs / "900").rmdir()
    assert values(states())["node_processes_pids"] == "9"

    assert values(groups())['namedprocess_namegroup_num_procs{groupname="queue-mail"}'] == "0"


def test_other_settings_have_another_watch() -> None:
    def settings() -> Settings:
        return Settings(Paths(PROCFS, Path("/sys"), Path("/")), ManualClock(), make_parser().parse_args([]))

    one, other = settings(), settings()
    first, second = watch_of(one), watch_of(other)

    assert first is not second
    assert watch_of(one) is first
