"""Groups of processes through psutil: processes that begin, end, change, hide, and take over each other's pids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.build import creators
from exporter.config import make_parser
from exporter.encode import Family
from exporter.paths import Paths
from exporter.settings import IncompleteError, Settings
from selfheal.common.clock import ManualClock
from tests.exporter.portable_world import MIB, World, Written
from tests.exporter.trees import values

GROUPS = """
process_names:
  - {name: web, comm: [web]}
  - {name: "{{.Matches.job}}", cmdline: ['^worker (?P<job>\\w+)']}
"""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """psutil, with the processes that a test writes down."""
    world = World()
    monkeypatch.setattr("psutil.pids", world.pids)
    monkeypatch.setattr("psutil.Process", world.process)
    return world


@pytest.fixture
def collect(world: World, clock: ManualClock, tmp_path: Path) -> Callable[..., Callable[[], list[Family]]]:
    """Build the collector, with further flags."""
    (tmp_path / "groups.yml").write_text(GROUPS)

    def build(*flags: str) -> Callable[[], list[Family]]:
        parsed = make_parser().parse_args(["--engine=portable", f"--config.path={tmp_path}/groups.yml", *flags])
        return creators(parsed)["process"](Settings(Paths(), clock, parsed))

    return build


Build = Callable[..., Callable[[], list[Family]]]


def web(pid: int = 10, **facts: object) -> Written:
    """Write down one member of the group web."""
    return Written(pid, "web", cmdline=["web"], **facts)  # type: ignore[arg-type]


def worker(pid: int, job: str, **facts: object) -> Written:
    """Write down a worker, whose group is named after its job."""
    return Written(pid, "worker", cmdline=["worker", job], **facts)  # type: ignore[arg-type]


def number(families: list[Family], what: str, group: str = "web", labels: str = "") -> float:
    """Return one value of a group."""
    return float(values(families)[f'namedprocess_namegroup_{what}{{groupname="{group}"{labels}}}'])


def cpu(families: list[Family], group: str = "web") -> float:
    """Return the seconds in user mode."""
    return number(families, "cpu_seconds_total", group, ',mode="user"')


def test_who_was_there_before_counts_from_first_sight_and_who_came_since_in_full(world: World, collect: Build) -> None:
    asked = collect()
    world.set(web(10, user=100.0))
    first = cpu(asked())
    world.set(web(10, user=103.0), web(11, user=2.5))

    assert (first, cpu(asked())) == (0.0, 5.5)


def test_counters_do_not_fall_when_a_member_ends(world: World, collect: Build) -> None:
    asked = collect()
    asked()
    world.set(web(10, user=4.0, read=4096), web(11, user=1.0))
    both = asked()
    world.set(web(11, user=1.5))
    one = asked()
    world.set()
    none = asked()

    assert [cpu(families) for families in (both, one, none)] == [5.0, 5.5, 5.5]
    assert [number(families, "read_bytes_total") for families in (both, none)] == [4096, 4096]
    assert [number(families, "num_procs") for families in (both, one, none)] == [2, 1, 0]


def test_a_pid_that_another_process_has_now_is_not_taken_for_the_same(world: World, collect: Build) -> None:
    asked = collect()
    asked()
    world.set(web(10, created=1000.0, user=4.0))
    asked()
    world.set(web(10, created=2000.0, user=4.5))

    # of the same process it would be half a second more
    assert cpu(asked()) == 8.5


def test_what_is_read_of_a_process_that_ended_meanwhile_is_not_counted(world: World, collect: Build) -> None:
    asked = collect()
    asked()
    world.set(web(10, user=4.0, ends_while_read=True))
    families = asked()

    assert (cpu(families), number(families, "num_procs")) == (0.0, 0)


def test_a_process_that_begins_another_program_moves_with_what_it_uses_from_now_on(
    world: World, collect: Build
) -> None:
    asked = collect()
    asked()
    world.set(web(10, user=4.0))
    asked()
    world.set(worker(10, "sort", user=5.0))
    families = asked()

    assert (cpu(families), cpu(families, "sort")) == (4.0, 1.0)


@pytest.mark.parametrize(("children", "expected"), [("true", 2), ("false", 1)])
def test_children_are_counted_to_their_parents_group_if_wanted(
    world: World, collect: Build, children: str, expected: int
) -> None:
    world.set(web(10), Written(11, "other", ppid=10, cmdline=["other"]))

    assert number(collect(f"--children={children}")(), "num_procs") == expected


def test_gauges_are_sums_over_the_living(world: World, collect: Build) -> None:
    world.set(web(10, rss=MIB, created=1500.7), web(11, rss=3 * MIB, created=1600.0, handles=6))

    families = collect()()

    found = values(families)
    assert number(families, "memory_bytes", labels=',memtype="resident"') == 4 * MIB
    assert number(families, "memory_bytes", labels=',memtype="virtual"') == 8 * MIB
    assert number(families, "num_threads") == 4
    assert number(families, "open_filedesc") == 9
    # of twelve that each may have
    assert number(families, "worst_fd_ratio") == 0.5
    assert number(families, "oldest_start_time_seconds") == 1500
    assert found['selfheal_process_group_largest_resident_bytes{groupname="web"}'] == str(3 * MIB)


def test_zombies_are_no_members_and_are_told_by_the_group_of_their_parent(world: World, collect: Build) -> None:
    world.set(web(10), web(11, ppid=10, status="zombie", hidden=frozenset({"cmdline"})), web(12, status="zombie"))

    families = collect()()

    found = values(families)
    assert number(families, "num_procs") == 1
    assert found['selfheal_process_group_zombies{groupname="web"}'] == "1"
    assert found["selfheal_zombies"] == "2"


def test_a_group_named_after_its_members_ends_some_time_after_the_last(
    world: World, collect: Build, clock: ManualClock
) -> None:
    asked = collect("--collector.process.group-grace=5m")
    world.set(worker(10, "sort"))
    asked()
    world.set()
    asked()
    clock.advance(300)
    kept = asked()
    clock.advance(1)
    gone = asked()

    assert number(kept, "num_procs", "sort") == 0
    assert 'namedprocess_namegroup_num_procs{groupname="sort"}' not in values(gone)
    assert number(gone, "num_procs", "web") == 0


def test_without_room_for_more_groups_their_members_are_counted_as_other(world: World, collect: Build) -> None:
    world.set(worker(10, "sort"), worker(11, "copy"), worker(12, "mail"))

    families = collect("--collector.process.max-groups=2")()

    assert (number(families, "num_procs", "sort"), number(families, "num_procs", "other")) == (1, 2)
    assert values(families)["selfheal_process_groups_folded"] == "2"


def test_what_is_hidden_counts_as_nothing_and_is_told(world: World, collect: Build) -> None:
    asked = collect()
    asked()
    world.set(web(10, user=4.0, hidden=frozenset({"io_counters", "num_fds"})))
    families = asked()
    world.set(web(10, user=5.0, read=4096))
    # who knows how much of it was read before
    later = asked()

    assert (cpu(families), number(families, "open_filedesc"), number(families, "num_procs")) == (4.0, 0, 1)
    assert (cpu(later), number(later, "read_bytes_total")) == (5.0, 0)
    assert values(later)["namedprocess_scrape_partial_errors"] == "2"


@pytest.mark.parametrize("part", ["name", "memory_info"])
def test_a_process_that_cannot_be_read_makes_the_page_incomplete(world: World, collect: Build, part: str) -> None:
    asked = collect()
    world.set(web(10), web(11, fails=part))

    with pytest.raises(IncompleteError, match=r"^1 processes could not be read$") as caught:
        asked()

    assert number(caught.value.families, "num_procs") == 1
    assert values(caught.value.families)["namedprocess_scrape_procread_errors"] == "1"


def test_processes_that_cannot_be_listed_are_an_error_of_the_look(
    world: World, collect: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[int]:
        raise PermissionError("no")

    monkeypatch.setattr("psutil.pids", fail)
    with pytest.raises(IncompleteError, match=r"^cannot read processes: no$") as caught:
        collect()()

    assert values(caught.value.families)["namedprocess_scrape_errors"] == "1"


def test_a_name_is_as_long_as_the_kernels(world: World, collect: Build, tmp_path: Path) -> None:
    (tmp_path / "long.yml").write_text('process_names: [{name: "{{.Comm}}", cmdline: [".+"]}]')
    world.set(Written(10, "a-program-with-a-long-name", cmdline=["/bin/a-program-with-a-long-name"]))

    families = collect(f"--config.path={tmp_path}/long.yml")()

    assert number(families, "num_procs", "a-program-with-") == 1


def test_arguments_that_are_no_utf_8_do_not_break_the_page(world: World, collect: Build, tmp_path: Path) -> None:
    (tmp_path / "bytes.yml").write_text('process_names: [{name: "{{.ExeFull}}", cmdline: [".+"]}]')
    world.set(Written(10, "x", cmdline=["/bin/\udcff"]))

    families = collect(f"--config.path={tmp_path}/bytes.yml")()

    assert number(families, "num_procs", "/bin/\ufffd") == 1
