"""Sources on their own timers: fresh, cached, late, failing; and none of them costs another anything."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.encode import Family, Metric
from exporter.paths import Paths
from exporter.refresh import Refresher
from exporter.settings import IncompleteError, Settings
from selfheal.common.clock import Clock, ManualClock, SystemClock
from tests.exporter.trees import values, wait_until

VALUE = Metric("value", "gauge", "A value.", ("source",))
PATHS = Paths(Path("/proc"), Path("/sys"), Path("/"))


class Script:
    """A source that says how often it was read, after waiting at a gate, and fails when told to."""

    def __init__(self, name: str = "a") -> None:
        self.name = name
        self.reads = 0
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def read(self) -> list[Family]:
        """Return the number of this reading."""
        self.reads += 1
        number = self.reads
        assert self.gate.wait(30)
        if self.error is not None:
            raise self.error
        return [VALUE.of({(self.name,): number})]


@contextmanager
def refresher(
    sources: Mapping[str, Callable[[], list[Family]]],
    every: float | Mapping[str, float] = 60,
    clock: Clock | None = None,
    *,
    once: bool = False,
    deadline: float | None = None,
    threads: int = 4,
) -> Iterator[Refresher]:
    settings = Settings(PATHS, clock or ManualClock(), argparse.Namespace(), once)
    made = Refresher("test", sources, every, settings, deadline=deadline, threads=threads)
    try:
        yield made
    finally:
        made.close()


def partly(made: Refresher) -> tuple[dict[str, str], str]:
    """Collect; return the values and what is wrong with them, if anything."""
    try:
        return values(made.collect()), ""
    except IncompleteError as error:
        return values(error.families), str(error)


def shown(made: Refresher, source: str = "a") -> str | None:
    """Return the value that a scrape would show."""
    return partly(made)[0].get(f'value{{source="{source}"}}')


def seen(source: str = "a") -> str:
    return f'selfheal_collector_refresh_timestamp_seconds{{collector="test",source="{source}"}}'


def failures(source: str = "a") -> str:
    return f'selfheal_collector_refresh_failures_total{{collector="test",source="{source}"}}'


def test_a_scrape_shows_the_last_refresh_and_when_it_began() -> None:
    clock, script = ManualClock(1000.0), Script()
    with refresher({"a": script.read}, 60, clock) as made:
        wait_until(lambda: shown(made) == "1")
        clock.advance(59.9)
        assert values(made.collect()) == {'value{source="a"}': "1", seen(): "1000.0", failures(): "0"}

        clock.advance(0.1)
        wait_until(lambda: shown(made) == "2")

        assert values(made.collect()) == {'value{source="a"}': "2", seen(): "1060.0", failures(): "0"}


def test_before_the_first_refresh_the_page_says_that_it_waits() -> None:
    script = Script()
    script.gate.clear()
    with refresher({"a": script.read}) as made:
        assert partly(made) == ({failures(): "0"}, "a: not refreshed yet")
        script.gate.set()


def test_once_waits_for_the_first_refresh_of_every_source() -> None:
    scripts = [Script(str(number)) for number in range(20)]
    with refresher({script.name: script.read for script in scripts}, once=True, threads=3) as made:
        found = values(made.collect())

    assert [found[f'value{{source="{number}"}}'] for number in range(20)] == ["1"] * 20


def test_once_reads_nothing_before_it_is_asked() -> None:
    script, threads = Script(), threading.active_count()
    with refresher({"a": script.read}, once=True):
        assert threading.active_count() == threads

    assert script.reads == 0


def test_once_does_not_wait_for_ever() -> None:
    stuck, fine = Script("stuck"), Script("fine")
    stuck.gate.clear()
    try:
        with refresher({"stuck": stuck.read, "fine": fine.read}, 0.05, SystemClock(), once=True, threads=1) as made:
            found, problem = partly(made)
    finally:
        stuck.gate.set()

    assert 'value{source="fine"}' in found
    assert problem == "stuck: no answer in 0.05 s"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "a: [Errno 5] Input/output error"),
        (ValueError("no number"), "a: no number"),
        (IncompleteError("half", []), "a: half"),
        (KeyError("x"), "a: KeyError: 'x'"),
    ],
    ids=["os", "value", "incomplete", "bug"],
)
def test_a_failed_refresh_is_counted_and_what_was_read_before_stays(error: Exception, reason: str) -> None:
    clock, script = ManualClock(1000.0), Script()
    with refresher({"a": script.read}, 10, clock) as made:
        wait_until(lambda: shown(made) == "1")
        script.error = error
        clock.advance(10)
        wait_until(lambda: partly(made)[1])

        assert partly(made) == ({'value{source="a"}': "1", seen(): "1000.0", failures(): "1"}, reason)

        script.error = None
        clock.advance(10)
        wait_until(lambda: not partly(made)[1])
        assert values(made.collect()) == {'value{source="a"}': "3", seen(): "1020.0", failures(): "1"}


def test_a_late_source_is_told_once_delays_nobody_and_is_heard_when_it_answers() -> None:
    clock, late, prompt = ManualClock(1000.0), Script("late"), Script("prompt")
    late.gate.clear()
    with refresher({"late": late.read, "prompt": prompt.read}, 10, clock, deadline=5, threads=1) as made:
        # the only thread is held by the late one, until its deadline
        wait_until(lambda: late.reads == 1)
        clock.advance(5)
        wait_until(lambda: shown(made, "prompt") == "1")
        assert partly(made)[1] == "late: no answer in 5 s"
        for turn in (2, 3, 4):
            clock.advance(10)
            wait_until(lambda turn=turn: shown(made, "prompt") == str(turn))
        assert late.reads == 1, "it is not asked again before it has answered"
        assert partly(made)[0][failures("late")] == "1"

        late.gate.set()
        wait_until(lambda: shown(made, "late") == "1")
        assert partly(made)[1] == ""
        assert partly(made)[0][seen("late")] == "1000.0", "what it says may be as old as its beginning"


def test_a_late_source_that_fails_at_last_has_failed_once() -> None:
    clock, gate, reads = ManualClock(), threading.Event(), []

    def read() -> list[Family]:
        reads.append(1)
        assert gate.wait(30)
        if len(reads) == 1:
            raise OSError(5, "Input/output error")
        return [VALUE.of({("a",): 2})]

    with refresher({"a": read}, 10, clock, deadline=5) as made:
        wait_until(lambda: reads)
        clock.advance(5)
        wait_until(lambda: partly(made)[0][failures()] == "1")
        gate.set()
        wait_until(lambda: "test" not in {thread.name for thread in threading.enumerate()})
        clock.advance(5)
        wait_until(lambda: shown(made) == "2")

        assert partly(made)[0][failures()] == "1"


def test_missed_turns_are_skipped_and_the_grid_is_kept() -> None:
    clock, script = ManualClock(1000.0), Script()
    with refresher({"a": script.read}, 10, clock, deadline=1000) as made:
        wait_until(lambda: shown(made) == "1")
        script.gate.clear()
        clock.advance(10)
        wait_until(lambda: partly(made) and script.reads == 2)
        clock.advance(34)
        script.gate.set()
        wait_until(lambda: shown(made) == "2")

        clock.advance(5.9)
        assert (shown(made), script.reads) == ("2", 2)
        clock.advance(0.1)
        wait_until(lambda: shown(made) == "3")
        assert partly(made)[0][seen()] == "1050.0"


def test_each_source_may_have_its_own_interval() -> None:
    clock, often, rarely = ManualClock(), Script("often"), Script("rarely")
    with refresher({"often": often.read, "rarely": rarely.read}, {"often": 1, "rarely": 100}, clock) as made:
        wait_until(lambda: (shown(made, "often"), shown(made, "rarely")) == ("1", "1"))
        clock.advance(1)
        wait_until(lambda: shown(made, "often") == "2")
        assert rarely.reads == 1


def test_at_most_so_many_sources_are_read_at_once() -> None:
    most, now, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(3, timeout=30)

    def read() -> list[Family]:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        gate.wait()
        with lock:
            now -= 1
        return []

    with refresher({str(number): read for number in range(12)}, once=True, threads=3) as made:
        made.collect()

    assert most == 3


def test_samples_of_one_metric_from_several_sources_are_one_family() -> None:
    scripts = [Script("a"), Script("b")]
    with refresher({script.name: script.read for script in scripts}, once=True) as made:
        families = made.collect()

    assert [family.metric.name for family in families].count("value") == 1
    assert {'value{source="a"}', 'value{source="b"}'} <= set(values(families))


def test_it_keeps_its_own_time_without_being_asked() -> None:
    script = Script()
    with refresher({"a": script.read}, 0.01, SystemClock()):
        wait_until(lambda: script.reads >= 5)


def test_closing_ends_the_threads_even_while_a_source_is_read() -> None:
    threads = set(threading.enumerate())
    script = Script()
    script.gate.clear()
    with refresher({"a": script.read}) as made:
        wait_until(lambda: script.reads == 1)
        script.gate.set()

    assert set(threading.enumerate()) <= threads
    made.close()


def test_closing_does_not_wait_for_a_source_that_hangs() -> None:
    script = Script()
    script.gate.clear()
    try:
        with refresher({"a": script.read}, 0.02, SystemClock()) as made:
            wait_until(lambda: partly(made)[1] == "a: no answer in 0.02 s")
    finally:
        script.gate.set()

    wait_until(lambda: "test" not in {thread.name for thread in threading.enumerate()})


def test_without_sources_there_is_neither_thread_nor_sample() -> None:
    threads = threading.active_count()
    with refresher({}) as made:
        assert threading.active_count() == threads
        assert values(made.collect()) == {}


def test_when_the_system_gives_no_more_threads_the_next_turn_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, script = ManualClock(), Script()
    really_start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "test":
            raise RuntimeError("can't start new thread")
        really_start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with refresher({"a": script.read}, 10, clock) as made:
        wait_until(lambda: partly(made)[1] == "a: the system gives no more threads")
        monkeypatch.undo()
        clock.advance(10)
        wait_until(lambda: shown(made) == "1")
