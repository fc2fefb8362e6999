"""process-exporter and ours on the same trees of processes: the values are equal, not near."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from selfheal.stack.oracles import NEWER
from tests.exporter.oracle.compare import Look, differences, expect_none
from tests.exporter.oracle.pages import Page, value
from tests.exporter.oracle.running import Exporter, ours, process_exporter, running
from tests.exporter.oracle.shared import grouped, of_processes
from tests.exporter.oracle.table import PROCESS
from tests.exporter.oracle.trees import GROUPED, Tree
from tests.exporter.oracle.working import bear, work

ONLY = ("--collector.disable-defaults", "--collector.process")
CHEAPEST = ("-threads=false", "-gather-smaps=false")
WAYS = {
    "cheapest": CHEAPEST,
    "threads": ("-threads=true", "-gather-smaps=false"),
    "smaps": ("-threads=false", "-gather-smaps=true"),
}


@pytest.fixture(params=GROUPED)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    """A tree whose processes a test may let work."""
    return copied(GROUPED[request.param], tmp_path)


@pytest.fixture
def groups(tmp_path: Path) -> Tree:
    """The tree whose processes are known here by their numbers."""
    return copied(GROUPED["groups"], tmp_path)


def copied(tree: Tree, folder: Path) -> Tree:
    """Return the tree with a procfs that may be changed."""
    return replace(tree, proc=Path(shutil.copytree(tree.proc, folder / "proc", symlinks=True)))


@pytest.fixture(params=WAYS)
def pair(request: pytest.FixtureRequest, tree: Tree) -> Iterator[tuple[Exporter, Exporter]]:
    """Both exporters on the tree."""
    flags = WAYS[request.param]
    with ExitStack() as stack:
        theirs = stack.enter_context(running(process_exporter(NEWER[PROCESS], *tree.process_flags(), *flags)))
        yield theirs, stack.enter_context(running(ours(*tree.our_flags(), *tree.group_flags(), *ONLY, *flags)))


def expect_the_same(pair: tuple[Exporter, Exporter]) -> Page:
    """Ask theirs, ours, theirs; fail with what differs; return ours."""
    theirs, mine = pair
    before, own, after = (of_processes(exporter.ask()) for exporter in (theirs, mine, theirs))
    expect_none(differences(Look(PROCESS, before, grouped(own, before), after)))
    return own


def test_groups_of_a_tree_are_told_the_same(pair: tuple[Exporter, Exporter]) -> None:
    expect_the_same(pair)


def test_what_processes_use_between_looks_is_counted_the_same(tree: Tree, pair: tuple[Exporter, Exporter]) -> None:
    first = expect_the_same(pair)

    work(tree.proc)
    second = expect_the_same(pair)

    assert total(first, "cpu_seconds_total") == 0
    assert total(second, "cpu_seconds_total") > 0
    assert total(second, "context_switches_total") > 0
    assert total(second, "write_bytes_total") > 0
    assert total(second, "minor_page_faults_total") > 0


def test_what_is_born_counts_in_full_and_what_ended_stays_counted(tree: Tree, pair: tuple[Exporter, Exporter]) -> None:
    expect_the_same(pair)
    like = a_member(tree)

    bear(tree.proc, like, 31_999, ticks_now(tree) + 100_000)
    born = expect_the_same(pair)
    shutil.rmtree(tree.proc / "31999")
    ended = expect_the_same(pair)

    assert total(born, "cpu_seconds_total") > 0
    assert total(ended, "cpu_seconds_total") == total(born, "cpu_seconds_total")
    assert total(ended, "num_procs") == total(born, "num_procs") - 1


def moments(tree: Tree, *changes: Callable[[], object]) -> list[tuple[Page, Page]]:
    """Let both look at a tree, then change it step by step; return what theirs and ours tell after each."""
    with ExitStack() as stack:
        theirs = stack.enter_context(running(process_exporter(NEWER[PROCESS], *tree.process_flags(), *CHEAPEST)))
        mine = stack.enter_context(running(ours(*tree.our_flags(), *tree.group_flags(), *ONLY, *CHEAPEST)))
        told = [(theirs.ask(), mine.ask())]
        for change in changes:
            change()
            told.append((theirs.ask(), mine.ask()))
    return told


def test_meant_a_group_without_members_is_there_as_0_and_not_there_with_theirs(groups: Tree) -> None:
    ((theirs, mine),) = moments(groups)

    assert of_group(mine, "num_procs", "nobody-here") == 0
    assert of_group(theirs, "num_procs", "nobody-here") is None


def test_meant_a_zombie_is_no_member_of_its_parents_group_and_is_one_with_theirs(groups: Tree) -> None:
    for file in (groups.proc / "611/stat", groups.proc / "611/task/611/stat"):
        file.write_text(file.read_text().replace(") Z 1 ", ") Z 610 "))

    ((theirs, mine),) = moments(groups)

    assert of_group(mine, "num_procs", "parent") == 1
    assert value(mine, "selfheal_process_group_zombies", groupname="parent") == 1
    assert of_group(theirs, "num_procs", "parent") == 2


def test_meant_switches_do_not_fall_when_a_thread_ends_and_fall_with_theirs(groups: Tree) -> None:
    told = moments(groups, lambda: work(groups.proc), lambda: shutil.rmtree(groups.proc / "402/task/403"))

    (worked, ended) = (
        [of_group(page, "context_switches_total", "threads-web", ctxswitchtype="voluntary") for page in pages]
        for pages in told[1:]
    )
    assert worked[0] == worked[1]
    assert ended[1] == worked[1]
    assert ended[0] is not None and worked[0] is not None
    assert ended[0] < worked[0]


def test_meant_the_oldest_start_of_nobody_is_0_and_the_year_1_with_theirs(groups: Tree) -> None:
    _, (theirs, mine) = moments(groups, lambda: shutil.rmtree(groups.proc / "610"))

    assert of_group(mine, "oldest_start_time_seconds", "parent") == 0
    assert of_group(theirs, "oldest_start_time_seconds", "parent") == -62_135_596_800


def of_group(page: Page, name: str, group: str, **labels: str) -> float | None:
    """Return a value of one group, None if the group is not there."""
    try:
        return value(page, f"namedprocess_namegroup_{name}", groupname=group, **labels)
    except KeyError:
        return None


def total(page: Page, name: str) -> float:
    """Return the sum of a family over all groups."""
    return sum(page[f"namedprocess_namegroup_{name}"].samples.values())


def a_member(tree: Tree) -> int:
    """Return a process of the tree that belongs to a group by its own arguments and has no other threads."""
    queues = (int(file.parent.name) for file in tree.proc.glob("*/cmdline") if b"--name=mail" in file.read_bytes())
    return next(queues)


def ticks_now(tree: Tree) -> int:
    """Return the ticks from the tree's boot until now."""
    lines = (tree.proc / "stat").read_text().splitlines()
    boot = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return int(time.time() - boot) * 100
