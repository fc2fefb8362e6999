"""process-exporter and ours beside each other on this host, watching processes that begin, work and rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from selfheal.stack.oracles import NEWER
from tests.exporter.oracle import subject
from tests.exporter.oracle.compare import Look, expect_none, lasting
from tests.exporter.oracle.pages import Page, value
from tests.exporter.oracle.running import Exporter, ours, process_exporter, running
from tests.exporter.oracle.shared import grouped, of_processes
from tests.exporter.oracle.table import PROCESS
from tests.stack.support import wait_until

KINDS = ("alone", "threads")
GROUPS = r"""
process_names:
  - name: "{{.Matches.kind}}-{{.Comm}}"
    cmdline: ['oracle-subject=(?P<kind>\w+)']
"""
WAYS = {
    "cheapest": ("-threads=false", "-gather-smaps=false"),
    "threads": ("-threads=true", "-gather-smaps=false"),
    "smaps": ("-threads=false", "-gather-smaps=true"),
}
_MOST_LOOKS = 40


@pytest.fixture(params=WAYS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Exporter, Exporter]]:
    """Both exporters, which have looked once before there is anything to see."""
    groups = tmp_path / "groups.yml"
    groups.write_text(GROUPS)
    flags = (f"-config.path={groups}", *WAYS[request.param])
    with ExitStack() as stack:
        theirs = stack.enter_context(running(process_exporter(NEWER[PROCESS], *flags)))
        mine = stack.enter_context(running(ours("--collector.disable-defaults", "--collector.process", *flags)))
        theirs.ask()
        mine.ask()
        yield theirs, mine


@contextmanager
def subjects(folder: Path) -> Iterator[Path]:
    """Start the subjects; they work while the yielded file is there."""
    go_on = folder / "go-on"
    with ExitStack() as stack:
        for kind in KINDS:
            command = [sys.executable, subject.__file__, f"oracle-subject={kind}", str(go_on)]
            process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
            # leaving closes its stdin and waits for it
            stack.callback(process.kill)
        wait_until(lambda: all((folder / f"{kind}.ready").exists() for kind in KINDS))
        yield go_on


def looks(pair: tuple[Exporter, Exporter]) -> Look:
    """Ask theirs, ours, theirs."""
    theirs, mine = pair
    before, own, after = (of_processes(exporter.ask()) for exporter in (theirs, mine, theirs))
    return Look(PROCESS, before, grouped(own, before), after, live=True)


def test_processes_at_work_and_at_rest_are_told_the_same(pair: tuple[Exporter, Exporter], tmp_path: Path) -> None:
    with subjects(tmp_path) as go_on:
        expect_none(lasting(lambda: looks(pair), _MOST_LOOKS))
        begun = looks(pair).ours
        go_on.touch()
        # the page that is rendered while they work must be right, too
        wait_until(lambda: all(used(looks(pair).ours, kind) > used(begun, kind) for kind in KINDS))
        expect_none(lasting(lambda: looks(pair), _MOST_LOOKS))
        go_on.unlink()
        expect_none(lasting(lambda: looks(pair), _MOST_LOOKS))
        rested = looks(pair).ours

    ended = [exporter.ask() for exporter in pair]

    for kind in KINDS:
        assert {members(page, kind) for page in ended} == {0}
        # what each saw last of them differs by what they did while ending; nothing that was counted is lost
        assert all(used(page, kind) >= used(rested, kind) for page in ended)


def used(page: Page, kind: str) -> float:
    """Return the CPU seconds of the group of one kind, in user mode."""
    return value(page, "namedprocess_namegroup_cpu_seconds_total", groupname=group(page, kind), mode="user")


def members(page: Page, kind: str) -> float:
    """Return how many processes of one kind there are."""
    return value(page, "namedprocess_namegroup_num_procs", groupname=group(page, kind))


def group(page: Page, kind: str) -> str:
    """Return the name of the group of one kind; the program that runs it ends the name."""
    groups = {dict(labels)["groupname"] for _, labels in page["namedprocess_namegroup_num_procs"].samples}
    (found,) = (name for name in groups if name.startswith(f"{kind}-"))
    return found
