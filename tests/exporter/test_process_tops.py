"""Which names use most: bounded, in a stable order, without a configuration and without pids."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from exporter.procfs.members import Stat
from exporter.procfs.processes import Look
from exporter.procfs.record import Record
from exporter.tops import Tops
from selfheal.common.clock import ManualClock
from tests.exporter.test_process import edit_stat, remove
from tests.exporter.trees import copied_procfs, create, values


def process(pid: int, comm: str, ticks: int, *, start: int = 50, pages: int = 0, files: int = 0) -> Record:
    """Return a process that was read once."""
    record = Record(pid, b"", Stat(comm.encode(), "S", 1, 0, 0, ticks, 0, 1, start, 1000, b"1"), 0)
    record.readings, record.resident_pages, record.open_files = 1, pages, files
    return record


def use(record: Record, ticks: int) -> Look:
    """Let a process use so many ticks more."""
    record.stat = record.stat._replace(user_ticks=record.stat.user_ticks + ticks)
    return Look(changed=[record])


def names(found: list[object]) -> list[str]:
    """Return the names in their order."""
    return [one.name for one in found]  # type: ignore[attr-defined]


def test_who_uses_most_lately_is_first_although_another_used_more_long_ago() -> None:
    tops = Tops(born_after_ticks=100)
    early, late = process(1, "early", 0), process(2, "late", 0)
    tops.update(Look(born=[early, late]), 0)
    tops.update(use(early, 1000), 1)
    assert names(tops.by_cpu(9)) == ["early"]
    tops.update(use(late, 100), 3600)

    assert names(tops.by_cpu(9)) == ["late", "early"]
    assert [one.ticks for one in tops.by_cpu(9)] == [100, 1000]


def test_equals_stand_in_the_order_of_their_names_and_nothing_is_not_told() -> None:
    tops = Tops(born_after_ticks=100)
    records = [process(pid, comm, 0, pages=5) for pid, comm in enumerate("dbac", start=1)]
    tops.update(Look(born=[*records, process(9, "none", 0)]), 0)

    assert names(tops.by_memory(9)) == ["a", "b", "c", "d"]
    assert names(tops.by_memory(2)) == ["a", "b"]
    assert tops.by_cpu(9) == tops.by_files(9) == []


def test_a_process_born_since_counts_in_full_and_one_that_ended_stays_counted() -> None:
    tops = Tops(born_after_ticks=100)
    old, young = process(1, "job", 500, start=50), process(2, "job", 7, start=101, files=3, pages=4)
    tops.update(Look(born=[old, young]), 0)
    assert [(one.ticks, one.files, one.pages) for one in tops.by_cpu(1)] == [(7, 3, 4)]
    tops.update(Look(gone=[young]), 1)

    assert [(one.ticks, one.files, one.pages) for one in tops.by_cpu(1)] == [(7, 0, 0)]


def test_a_process_that_takes_another_name_moves_with_what_it_holds() -> None:
    tops = Tops(born_after_ticks=100)
    record = process(1, "sh", 0, pages=8, files=2)
    tops.update(Look(born=[record]), 0)
    record.stat = record.stat._replace(comm=b"java")
    record.version += 1
    tops.update(Look(changed=[record]), 1)

    assert names(tops.by_memory(9)) == names(tops.by_files(9)) == ["java"]


def test_threads_of_the_kernel_are_one_name_whatever_they_work_at() -> None:
    tops = Tops(born_after_ticks=0)
    workers = [process(10, "kworker/0:1-events", 5), process(11, "kworker/u8:2", 5)]
    for worker in workers:
        worker.stat = worker.stat._replace(ppid=2, virtual_bytes=0)
    tops.update(Look(born=workers), 0)

    assert [(one.name, one.ticks) for one in tops.by_cpu(9)] == [("kworker", 10)]


def test_names_without_processes_are_forgotten_when_there_are_too_many() -> None:
    tops = Tops(born_after_ticks=0)
    for pid in range(2000):
        record = process(pid, f"job{pid}", pid)
        tops.update(Look(born=[record]), 0)
        tops.update(Look(gone=[record]), 0)

    assert len(tops.by_cpu(5000)) <= 501
    assert names(tops.by_cpu(2)) == ["job1999", "job1998"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.floats(0, 1e6)), max_size=30))
def test_scores_never_run_out_and_ticks_are_those_that_were_used(uses: list[tuple[str, int, float]]) -> None:
    tops = Tops(born_after_ticks=100)
    records = {comm: process(pid, comm, 0) for pid, comm in enumerate("abc")}
    tops.update(Look(born=[*records.values()]), 0)
    now, used = 0.0, dict.fromkeys("abc", 0)
    for comm, ticks, passed in uses:
        now += passed
        used[comm] += ticks
        tops.update(use(records[comm], ticks), now)

    assert {one.name: one.ticks for one in tops.by_cpu(9)}.items() <= used.items()
    assert all(0 < one.score < float("inf") for one in tops.by_cpu(9))


def test_without_a_configuration_the_page_tells_who_uses_most(tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    collect = create("process", procfs=procfs, clock=ManualClock())
    collect()
    edit_stat(procfs, 900, user=100_000)
    found = values(collect())

    assert float(found['selfheal_top_cpu_seconds_total{comm="queue"}']) > 100
    assert 'selfheal_top_resident_bytes{comm="web"}' in found
    assert found['selfheal_top_open_files{comm="web worker"}'] == "9"
    assert not [series for series in found if "pid" in series]
    remove(procfs, 810)
    assert 'selfheal_top_open_files{comm="web worker"}' not in values(collect())


def test_how_many_are_told_can_be_chosen() -> None:
    one = values(create("process", "--collector.process.top=1")())
    none = values(create("process", "--collector.process.top=0")())

    assert len([series for series in one if series.startswith("selfheal_top_resident_bytes")]) == 1
    assert not [series for series in none if series.startswith("selfheal_top")]
