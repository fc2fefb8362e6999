"""Due rows run: in order, each on one worker at a time, and none is forgotten."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from remediator.engine import Engine, Handler
from remediator.errors import StoreUnavailable
from remediator.model import Alert, Reason
from remediator.queue import AGEING
from remediator.store import Store
from selfheal.common.clock import ManualClock, SystemClock

START = ManualClock().now()


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Look until `condition` holds or the time is over; say whether it holds."""
    never = threading.Event()
    for _ in range(int(seconds / 0.002)):
        if condition():
            return True
        never.wait(0.002)
    return condition()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state", clock)
    yield opened
    opened.close()


@pytest.fixture
def start(store: Store, clock: ManualClock) -> Iterator[Callable[..., Engine]]:
    """Start an engine on the test's store; it is stopped at the end."""
    started: list[Engine] = []

    def make(workers: int = 4, run: bool = True, **handlers: Handler) -> Engine:
        engine = Engine(store, clock, handlers, workers)
        started.append(engine)
        if run:
            engine.start()
        return engine

    yield make
    for engine in started:
        if any(thread.is_alive() for thread in engine._threads):
            assert engine.stop(10.0)


def schedule(store: Store, id: int, due: float, kind: str = "job", priority: int | None = None) -> None:
    store.write(lambda tx: tx.schedule(kind, id, due, priority))


def left(store: Store) -> list[tuple[int, float]]:
    with store.read() as reader:
        return [(row.id, row.due) for row in reader.work()]


def test_rows_run_in_the_order_of_their_due_times(store: Store, start: Callable[..., Engine]) -> None:
    ran: list[int] = []
    for id, due in ((1, START - 1.0), (2, START - 3.0), (3, START - 2.0), (4, START)):
        schedule(store, id, due)

    engine = start(workers=1, job=lambda id, _now: ran.append(id))

    assert wait_for(engine.idle)
    assert ran == [2, 3, 1, 4]
    assert left(store) == []


def test_rows_due_together_run_in_the_order_of_their_ids(store: Store, start: Callable[..., Engine]) -> None:
    ran: list[int] = []
    for id in (3, 1, 2):
        schedule(store, id, START)

    engine = start(workers=1, job=lambda id, _now: ran.append(id))

    assert wait_for(engine.idle)
    assert ran == [1, 2, 3]


@pytest.mark.parametrize(("waited", "first"), [(AGEING - 0.5, "high"), (AGEING + 0.5, "low")])
def test_priority_goes_first_until_the_other_has_waited_long_enough(
    store: Store, start: Callable[..., Engine], waited: float, first: str
) -> None:
    ran: list[str] = []
    schedule(store, 1, START - waited, priority=0)
    schedule(store, 2, START, priority=1)

    engine = start(workers=1, job=lambda id, _now: ran.append("low" if id == 1 else "high"))

    assert wait_for(engine.idle)
    assert ran[0] == first


def test_a_row_waits_until_it_is_due(store: Store, clock: ManualClock, start: Callable[..., Engine]) -> None:
    ran: list[float] = []
    engine = start(job=lambda _id, now: ran.append(now))
    schedule(store, 1, START + 20.0)
    schedule(store, 2, START + 25.0)

    clock.advance(19.9)
    engine.wake()
    assert engine.idle()
    assert ran == []

    clock.advance(0.1)
    engine.wake()
    assert wait_for(lambda: len(ran) == 1)
    assert wait_for(engine.idle)
    assert ran == [START + 20.0]


def test_a_row_never_runs_on_two_workers_and_runs_again_when_made_due_meanwhile(
    store: Store, start: Callable[..., Engine]
) -> None:
    entered, gate = threading.Semaphore(0), threading.Event()
    running: list[int] = []
    most: list[int] = []

    def job(id: int, _now: float) -> None:
        running.append(id)
        most.append(len(running))
        entered.release()
        assert gate.wait(10)
        running.remove(id)

    engine = start(job=job)
    schedule(store, 1, START)
    assert entered.acquire(timeout=10)
    for _ in range(5):
        schedule(store, 1, START)
    gate.set()

    assert entered.acquire(timeout=10)
    assert wait_for(engine.idle)
    assert most == [1, 1]
    assert left(store) == []


def test_a_row_made_due_by_somebody_else_runs_again_though_its_own_turn_then_put_it_off(
    store: Store, start: Callable[..., Engine]
) -> None:
    entered, gate = threading.Event(), threading.Event()
    turns = itertools.count(1)

    def job(id: int, _now: float) -> None:
        turn = next(turns)
        if turn == 1:
            entered.set()
            assert gate.wait(10)
        schedule(store, id, START + 1_000.0 + turn)

    engine = start(job=job)
    schedule(store, 1, START)
    assert entered.wait(10)
    schedule(store, 1, START)
    gate.set()

    assert wait_for(lambda: left(store) == [(1, START + 1_002.0)])
    assert wait_for(engine.idle)


def test_what_a_turn_writes_to_its_own_row_wins_over_what_it_returns(
    store: Store, start: Callable[..., Engine]
) -> None:
    def puts_off(id: int, _now: float) -> float | None:
        schedule(store, id, START + 500.0, "off")
        return START + 7.0

    def ends(id: int, _now: float) -> float | None:
        store.write(lambda tx: tx.unschedule("ends", id))
        return START + 7.0

    engine = start(off=puts_off, ends=ends)
    schedule(store, 1, START, "off")
    schedule(store, 2, START, "ends")

    assert wait_for(lambda: left(store) == [(1, START + 500.0)])
    assert wait_for(engine.idle)
    assert left(store) == [(1, START + 500.0)]


def test_a_row_that_a_turn_makes_due_at_once_runs_again(store: Store, start: Callable[..., Engine]) -> None:
    turns = itertools.count(1)
    ran: list[int] = []

    def job(id: int, _now: float) -> None:
        ran.append(next(turns))
        if len(ran) < 3:
            schedule(store, id, START)

    engine = start(job=job)
    schedule(store, 1, START)

    assert wait_for(lambda: len(ran) == 3)
    assert wait_for(engine.idle)
    assert left(store) == []


@pytest.mark.parametrize(("after", "stored"), [(0.5, False), (4.9, False), (5.0, True), (30.0, True)])
def test_the_returned_time_is_when_the_next_turn_begins_and_is_stored_when_it_is_not_soon(
    store: Store, clock: ManualClock, start: Callable[..., Engine], after: float, stored: bool
) -> None:
    ran: list[float] = []

    def job(_id: int, now: float) -> float:
        ran.append(now)
        return now + after

    engine = start(job=job)
    schedule(store, 0, START)
    assert wait_for(lambda: len(ran) == 1)
    assert wait_for(engine.idle)

    assert left(store) == [(0, START + after if stored else START)]
    clock.advance(after)
    engine.wake()
    assert wait_for(lambda: len(ran) == 2)
    assert wait_for(engine.idle)
    assert ran == [START, START + after]


def test_a_turn_that_fails_is_tried_again_after_growing_pauses_and_hinders_nobody(
    store: Store, clock: ManualClock, start: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[float] = []
    counted: list[str] = []

    def job(id: int, now: float) -> None:
        if id == 1:
            tried.append(now - START)
            if len(tried) < 9:
                raise ZeroDivisionError("broken turn")

    with caplog.at_level(logging.CRITICAL):
        engine = start(job=job)
        engine.on_error = counted.append
        schedule(store, 1, START)
        schedule(store, 2, START)
        for turn in range(1, 9):
            assert wait_for(lambda turn=turn: len(tried) == turn and engine.idle())  # type: ignore[misc]
            pause = min(60.0, 2.0 ** (turn - 1))
            clock.advance(pause - 0.5)
            engine.wake()
            assert engine.idle()
            clock.advance(0.5)
            engine.wake()
        assert wait_for(lambda: len(tried) == 9)
        assert wait_for(engine.idle)

    assert tried == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0, 63.0, 123.0, 183.0]
    assert counted == ["job"] * 8
    assert engine.errors == {"job": 8}
    assert left(store) == []


def test_a_turn_that_the_store_could_not_take_is_tried_again(
    store: Store, clock: ManualClock, start: Callable[..., Engine]
) -> None:
    turns = itertools.count(1)

    def job(_id: int, _now: float) -> None:
        if next(turns) == 1:
            raise StoreUnavailable("full")

    engine = start(job=job)
    schedule(store, 1, START)
    assert wait_for(lambda: engine.errors["job"] == 1)
    assert wait_for(engine.idle)
    assert left(store) == [(1, START)]

    clock.advance(1.0)
    engine.wake()
    assert wait_for(lambda: left(store) == [])
    assert next(turns) == 3


def test_rows_of_an_earlier_run_are_taken_up_at_start(
    store: Store, clock: ManualClock, start: Callable[..., Engine]
) -> None:
    schedule(store, 1, START - 100.0)
    schedule(store, 2, START + 100.0)
    ran: list[int] = []

    engine = start(job=lambda id, _now: ran.append(id))
    assert wait_for(lambda: ran == [1])
    clock.advance(100.0)
    engine.wake()

    assert wait_for(lambda: ran == [1, 2])


def test_what_was_read_before_a_change_does_not_undo_the_change(
    store: Store, clock: ManualClock, start: Callable[..., Engine]
) -> None:
    ran: list[float] = []
    engine = start(job=lambda _id, now: ran.append(now))
    schedule(store, 1, START + 100.0)
    with store.read() as reader:
        stale = reader.work()
    schedule(store, 1, START + 200.0)

    engine._take(stale)
    clock.advance(100.0)
    engine.wake()
    assert engine.idle()
    clock.advance(100.0)
    engine.wake()

    assert wait_for(lambda: ran == [START + 200.0])


def test_work_of_an_unknown_kind_stays_where_it_is(store: Store, start: Callable[..., Engine]) -> None:
    schedule(store, 1, START, "of another version")

    engine = start(job=lambda _id, _now: None)

    assert wait_for(engine.idle)
    assert left(store) == [(1, START)]


def test_a_new_occurrence_starts_its_turn_without_any_waiting(tmp_path: Path) -> None:
    clock = SystemClock()
    opened = Store.open(tmp_path / "own", clock)
    latencies: list[float] = []
    begun: dict[str, float] = {}

    def occurrence(id: int, _now: float) -> None:
        with opened.read() as reader:
            found = reader.occurrence(id)
        assert found is not None
        latencies.append(clock.monotonic() - begun[found.alert.fingerprint])
        opened.write(lambda tx: tx.set_fate(id, "no_playbook", Reason.NO_PLAYBOOK))

    engine = Engine(opened, clock, {"occurrence": occurrence})
    engine.start()
    for number in range(50):
        alert = Alert("firing", {"alertname": "Sick"}, {}, 0.0, str(number))
        begun[alert.fingerprint] = clock.monotonic()
        opened.write(lambda tx, alert=alert: tx.open_occurrence(alert, clock.now()))  # type: ignore[misc]
        assert wait_for(lambda number=number: len(latencies) == number + 1)  # type: ignore[misc]
    assert engine.stop(10.0)
    opened.close()

    # commit and hand-over; a scheduler that only polled would show its whole period here
    assert sorted(latencies)[25] < 0.1


def test_stopping_lets_what_runs_end_and_begins_nothing_more(store: Store, start: Callable[..., Engine]) -> None:
    entered, gate = threading.Event(), threading.Event()
    ran: list[int] = []

    def job(id: int, _now: float) -> None:
        entered.set()
        assert gate.wait(10)
        ran.append(id)

    engine = start(workers=1, job=job)
    schedule(store, 1, START)
    assert entered.wait(10)
    schedule(store, 2, START)
    stopped: list[bool] = []
    stopper = threading.Thread(target=lambda: stopped.append(engine.stop(1_000.0)))
    stopper.start()
    assert wait_for(lambda: engine._stopping)
    gate.set()
    stopper.join(10)

    assert stopped == [True]
    assert ran == [1]
    assert left(store) == [(2, START)]


def test_stopping_says_when_something_would_not_end(store: Store, start: Callable[..., Engine]) -> None:
    entered, gate = threading.Event(), threading.Event()

    def job(_id: int, _now: float) -> None:
        entered.set()
        assert gate.wait(10)

    engine = start(job=job)
    schedule(store, 1, START)
    assert entered.wait(10)

    assert not engine.stop(0.0)

    gate.set()
    assert engine.stop(10.0)


def test_depth_and_age_of_the_queue_count_what_is_due_and_has_not_begun(
    store: Store, clock: ManualClock, start: Callable[..., Engine]
) -> None:
    entered, gate = threading.Event(), threading.Event()

    def job(_id: int, _now: float) -> None:
        entered.set()
        assert gate.wait(10)

    engine = start(workers=1, job=job)
    empty = (engine.queue_depth(), engine.oldest_seconds(), engine.idle())
    schedule(store, 1, START)
    assert entered.wait(10)
    schedule(store, 2, START - 3.0)
    schedule(store, 3, START)
    schedule(store, 4, START + 100.0)
    clock.advance(2.0)
    busy = (engine.queue_depth(), engine.oldest_seconds(), engine.idle())
    gate.set()

    assert (empty, busy) == ((0, 0.0, True), (2, 5.0, False))
    assert wait_for(engine.idle)
    assert (engine.queue_depth(), engine.oldest_seconds()) == (0, 0.0)


def test_turns_let_deliveries_go_first(store: Store, start: Callable[..., Engine]) -> None:
    ran: list[int] = []
    engine = start(job=lambda id, _now: ran.append(id))

    with engine.intake():
        with engine.intake():
            schedule(store, 1, START)
            waiting = (list(ran), engine.queue_depth())
        still = (list(ran), engine.queue_depth())

    assert (waiting, still) == (([], 1), ([], 1))
    assert wait_for(lambda: ran == [1])


def test_turns_let_deliveries_go_first_for_ten_seconds_at_most(
    store: Store, clock: ManualClock, start: Callable[..., Engine]
) -> None:
    ran: list[int] = []
    engine = start(workers=1, job=lambda id, _now: ran.append(id))

    with engine.intake():
        schedule(store, 1, START)
        clock.advance(9.9)
        schedule(store, 2, START)
        before = list(ran)
        clock.advance(0.1)
        assert wait_for(lambda: ran == [1])
        after = list(ran)

    assert (before, after) == ([], [1])
    assert wait_for(lambda: ran == [1, 2])


@pytest.mark.parametrize(("seconds", "seen"), [(29.0, False), (31.0, True), (-29.0, False), (-31.0, True)])
def test_a_jump_of_the_wall_clock_is_noticed_beyond_half_a_minute(
    store: Store, clock: ManualClock, start: Callable[..., Engine], seconds: float, seen: bool
) -> None:
    ran: list[int] = []
    engine = start(job=lambda id, _now: ran.append(id))

    clock.jump(seconds)
    engine.wake()
    schedule(store, 1, clock.now())
    assert wait_for(lambda: ran == [1])

    if seen:
        assert wait_for(lambda: engine.clock_jumped_at == START + seconds)
    else:
        assert wait_for(engine.idle)
        assert engine.clock_jumped_at is None


def test_a_clock_that_runs_on_evenly_never_jumped(
    store: Store, clock: ManualClock, start: Callable[..., Engine]
) -> None:
    ran: list[int] = []
    engine = start(job=lambda id, _now: ran.append(id))
    schedule(store, 1, START + 3_600.0)

    clock.advance(3_600.0)
    engine.wake()

    assert wait_for(lambda: ran == [1])
    assert engine.clock_jumped_at is None


def test_a_clock_set_back_makes_nobody_wait_longer(
    store: Store, clock: ManualClock, start: Callable[..., Engine]
) -> None:
    ran: list[int] = []
    engine = start(job=lambda id, _now: ran.append(id))
    schedule(store, 1, START + 20.0)

    clock.jump(-86_400.0)
    engine.wake()
    assert wait_for(lambda: engine.clock_jumped_at is not None)
    clock.advance(19.0)
    engine.wake()
    assert engine.idle()
    assert ran == []
    clock.advance(1.0)
    engine.wake()

    assert wait_for(lambda: ran == [1])


def test_a_thousand_rows_are_all_done_once(store: Store, start: Callable[..., Engine]) -> None:
    lock = threading.Lock()
    ran: list[int] = []

    def job(id: int, _now: float) -> None:
        with lock:
            ran.append(id)

    engine = start(workers=8, job=job)

    def work(tx) -> None:  # type: ignore[no-untyped-def]
        for id in range(1_000):
            tx.schedule("job", id, START)

    store.write(work)

    assert wait_for(engine.idle, 30.0)
    assert sorted(ran) == list(range(1_000))
    assert left(store) == []
    assert list(engine._queue.known()) == []
