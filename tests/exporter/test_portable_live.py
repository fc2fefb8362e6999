"""The portable engine on this host: beside node_exporter, and beside our own procfs engine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.collectors import COLLECTORS
from exporter.portable import PORTABLE
from selfheal.stack.oracles import NEWER
from tests.exporter.oracle import subject
from tests.exporter.oracle.compare import Look, expect_none, lasting
from tests.exporter.oracle.pages import Page, value
from tests.exporter.oracle.running import Exporter, node_exporter, ours, running
from tests.exporter.oracle.shared import common, of_the_host
from tests.exporter.oracle.table import NODE, PROCESS
from tests.exporter.oracle.trees import NO_TEXTFILES, SAME_MOUNTS
from tests.stack.support import wait_until

_ROUNDS = 40
_ENGINE = "--engine=portable"

_UNFAITHFUL = "psutil adds reclaimable slabs to it"
_NOT_READ = "psutil does not read it"
_OF_SYSFS = "stands in sysfs or udev's data, which psutil does not read"
_OF_THREADS = "psutil tells of no thread's name, state or switches"

# what node_exporter's collectors tell of a Linux host, and this engine does not → why
LACKING = {
    r"node_cpu_(core_throttles_total|package_throttles_total|isolated|online|info|flag_info|bug_info)": _OF_SYSFS,
    r"node_disk_(info|filesystem_info|device_mapper_info|ata_\w+)": _OF_SYSFS,
    r"node_disk_(io_now|io_time_weighted_seconds_total)": _NOT_READ,
    r"node_disk_(discard|flush)\w+": _NOT_READ,
    "node_filesystem_mount_info": "psutil does not tell a device's numbers",
    "node_memory_Cached_bytes": _UNFAITHFUL,
    r"node_memory_(?!(MemTotal|MemFree|MemAvailable|Buffers|Active|Inactive|Shmem|Slab|SwapTotal|SwapFree)_bytes)\w+": (
        _NOT_READ
    ),
    r"node_network_(receive|transmit)_(?!bytes|drop|errs|packets)\w+": _NOT_READ,
    "node_(forks_total|procs_running|procs_blocked)": _NOT_READ,
    r"node_time_clocksource_\w+": _OF_SYSFS,
}

# what our other engine tells of processes, and this one does not → why
LACKING_OF_PROCESSES = {
    "namedprocess_namegroup_context_switches_total": _OF_THREADS,
    "namedprocess_namegroup_states": _OF_THREADS,
    r"namedprocess_namegroup_(major|minor)_page_faults_total": _NOT_READ,
    r"selfheal_top_\w+": "psutil would have to read every process in detail at every scrape",
}


def is_lacking(name: str, reasons: Iterable[str]) -> bool:
    """Say whether a family is in one of the tables."""
    return any(re.fullmatch(names, name) for names in reasons)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Exporter, Exporter]]:
    """node_exporter and the portable engine, with the collectors that both have."""
    switches = [f"--collector.{name}" for name in shared()]
    with ExitStack() as stack:
        oracle = stack.enter_context(running(node_exporter(NEWER[NODE], SAME_MOUNTS, NO_TEXTFILES, *switches)))
        yield oracle, stack.enter_context(running(ours(_ENGINE, SAME_MOUNTS, NO_TEXTFILES, *switches)))


def shared() -> list[str]:
    """Return the collectors that node_exporter and the portable engine have."""
    return [name for name in common() if name in PORTABLE]


@pytest.mark.parametrize("collector", shared())
def test_a_collector_tells_what_node_exporter_tells_of_this_host(
    pair: tuple[Exporter, Exporter], collector: str
) -> None:
    oracle, own = pair

    def look() -> Look:
        before, mine, after = (of_the_host(exporter.ask(collector)) for exporter in (oracle, own, oracle))
        return Look(NODE, told(before), rounded(mine), told(after), live=True)

    expect_none(lasting(look, _ROUNDS))


def told(page: Page) -> Page:
    """Return a page without the families that this engine lacks."""
    return {name: family for name, family in page.items() if not is_lacking(name, LACKING)}


def rounded(page: Page) -> Page:
    """Return a page with the load as `/proc/loadavg` has it: the C library asks the kernel for more digits."""
    loads = {name: family for name, family in page.items() if name.startswith("node_load")}
    return page | {
        name: replace(family, samples={series: round(load, 2) for series, load in family.samples.items()})
        for name, family in loads.items()
    }


def test_every_family_that_is_lacking_is_in_the_table_and_nothing_else(pair: tuple[Exporter, Exporter]) -> None:
    theirs, mine = (of_the_host(exporter.ask(*shared())) for exporter in pair)

    assert sorted(name for name in theirs.keys() - mine.keys() if not is_lacking(name, LACKING)) == []
    assert sorted(name for name in mine if is_lacking(name, LACKING)) == []
    assert len(theirs.keys() & mine.keys()) > 45


@pytest.fixture(scope="module")
def engines() -> Iterator[tuple[Page, Page]]:
    """The default pages of both engines."""
    flags = ("--procnames=python", "--namemapping=", SAME_MOUNTS)
    with ExitStack() as stack:
        procfs = stack.enter_context(running(ours("--engine=procfs", *flags)))
        portable = stack.enter_context(running(ours(_ENGINE, *flags)))
        yield procfs.ask(), portable.ask()


def test_what_both_engines_tell_has_the_same_type_and_meaning(engines: tuple[Page, Page]) -> None:
    procfs, portable = engines
    both = procfs.keys() & portable.keys()

    assert {name: (portable[name].kind, portable[name].help) for name in both} == {
        name: (procfs[name].kind, procfs[name].help) for name in both
    }
    assert len(both) > 80


def test_the_portable_engine_tells_nothing_on_linux_that_the_other_does_not(engines: tuple[Page, Page]) -> None:
    procfs, portable = engines

    assert portable.keys() - procfs.keys() == set()


def test_of_processes_only_what_is_in_the_table_is_lacking(engines: tuple[Page, Page]) -> None:
    procfs, portable = (
        {name for name in page if name.startswith(("namedprocess_", "selfheal_process_", "selfheal_top"))}
        for page in engines
    )

    assert sorted(name for name in procfs - portable if not is_lacking(name, LACKING_OF_PROCESSES)) == []
    assert sorted(name for name in portable if is_lacking(name, LACKING_OF_PROCESSES)) == []


def test_every_collector_of_the_portable_engine_is_one_of_ours() -> None:
    assert PORTABLE.keys() <= COLLECTORS.keys()


def test_groups_of_processes_are_told_as_by_the_other_engine(tmp_path: Path) -> None:
    groups, go_on = tmp_path / "groups.yml", tmp_path / "go-on"
    groups.write_text("process_names: [{name: 'of-{{.Username}}', cmdline: ['oracle-subject=threads']}]")
    flags = ("--collector.disable-defaults", "--collector.process", f"--config.path={groups}")
    with ExitStack() as stack:
        procfs = stack.enter_context(running(ours("--engine=procfs", *flags)))
        portable = stack.enter_context(running(ours(_ENGINE, *flags)))

        def look() -> Look:
            before, mine, after = (of_groups(exporter.ask()) for exporter in (procfs, portable, procfs))
            return Look(PROCESS, before, mine, after, live=True)

        # both have looked once, so that what comes now has been born since
        look()
        argv = [sys.executable, subject.__file__, "oracle-subject=threads", str(go_on)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE) as process:
            stack.callback(process.kill)
            wait_until((tmp_path / "threads.ready").exists)
            expect_none(lasting(look, _ROUNDS))
            go_on.touch()
            wait_until(lambda: used(look().ours) > 0.2)
            go_on.unlink()
            expect_none(lasting(look, _ROUNDS))
            worked = look().ours
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)
        ended = look().ours

    assert used(ended) >= used(worked) > 0.2
    assert number(ended, "num_procs") == 0


def of_groups(page: Page) -> Page:
    """Return what both engines tell of groups."""
    found = {}
    for name, family in page.items():
        if name.startswith(("selfheal_process_group", "namedprocess_namegroup_")):
            # what is swapped psutil would have to find page by page
            samples = {series: one for series, one in family.samples.items() if ("memtype", "swapped") not in series[1]}
            found[name] = replace(family, samples=samples)
    return {name: family for name, family in found.items() if not is_lacking(name, LACKING_OF_PROCESSES)}


def used(page: Page) -> float:
    """Return the CPU seconds of the one group in user mode."""
    return number(page, "cpu_seconds_total", mode="user")


def number(page: Page, what: str, **labels: str) -> float:
    """Return one value of the one group; 0 before it is there."""
    groups = page["namedprocess_namegroup_num_procs"].samples if page else {}
    names = {dict(labels)["groupname"] for _, labels in groups}
    return value(page, f"namedprocess_namegroup_{what}", groupname=names.pop(), **labels) if names else 0.0
