"""What was acknowledged is on disk; what could not be stored is not half there."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from remediator.errors import StoreBusy, StoreUnavailable
from remediator.model import Alert, Reason, State
from remediator.store import IllegalMove, Reader, Store, StoreTooNew, Tx
from remediator.store.ballast import SIZE
from remediator.store.schema import MIGRATIONS
from selfheal.common.clock import ManualClock

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("writing_child.py")
KILLS = 20


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Look until `condition` holds or the time is over; say whether it holds."""
    never = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return True
        never.wait(0.005)
    return condition()


@contextmanager
def child(folder: Path, word: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(CHILD), str(folder), word]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.timeout(120)
def test_nothing_acknowledged_is_lost_by_kill_9_at_any_moment(tmp_path: Path) -> None:
    acknowledged: dict[int, str] = {}
    moments = random.Random(7)
    for kill in range(KILLS):
        with child(tmp_path / "state", str(kill)) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(moments.randint(1, 300))]
            process.kill()
            lines += process.stdout.readlines()
        for line in lines:
            id, _, fingerprint = line.decode().strip().partition(" ")
            acknowledged[int(id)] = fingerprint

    with Reader.open(tmp_path / "state") as reader:
        found = {each.id: each.alert.fingerprint for each in reader.open_occurrences()}
        due = {row.id for row in reader.work() if row.kind == "occurrence"}
        problems = reader._connection.execute("PRAGMA integrity_check").fetchall()
    assert len(acknowledged) > KILLS
    assert {id: found.get(id) for id in acknowledged} == acknowledged
    assert due == found.keys()
    assert [tuple(row) for row in problems] == [("ok",)]


def test_a_second_process_is_told_who_owns_the_store(tmp_path: Path, clock: ManualClock) -> None:
    with child(tmp_path / "state", "a") as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(StoreBusy, match=f"is in use by process {process.pid}$"):
            Store.open(tmp_path / "state", clock)
        with Reader.open(tmp_path / "state") as reader:
            assert reader.open_occurrences() != []

    Store.open(tmp_path / "state", clock).close()


def test_a_store_of_a_later_version_is_refused_and_left_alone(store: Store, clock: ManualClock) -> None:
    store.close()
    connection = sqlite3.connect(store.folder / "selfheal.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    message = f"schema version 99, this program knows up to {len(MIGRATIONS)}: use the newer program"
    with pytest.raises(StoreTooNew, match=message):
        Store.open(store.folder, clock)
    with pytest.raises(StoreTooNew, match=message):
        Reader.open(store.folder)


def test_a_file_that_is_no_store_is_refused_and_the_folder_is_free_again(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "selfheal.db").write_bytes(b"not a database " * 100)

    with pytest.raises(StoreUnavailable, match=r"cannot open the store in .*: file is not a database"):
        Store.open(tmp_path, clock)

    (tmp_path / "selfheal.db").unlink()
    Store.open(tmp_path, clock).close()


def test_the_folder_is_private_and_every_commit_is_synced(store: Store) -> None:
    def pragmas(tx: Tx) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "auto_vacuum")
        return [tx._connection.execute(f"PRAGMA {name}").fetchall()[0][0] for name in names]

    assert store.write(pragmas) == ["wal", 2, 1, 2]
    assert store.folder.stat().st_mode & 0o777 == 0o700


def test_one_failing_closure_does_not_spoil_its_neighbours(
    store: Store, make_alert: Callable[..., Alert], add: Callable[..., int]
) -> None:
    id = add()
    gate, entered = threading.Event(), threading.Event()
    outcomes: dict[str, object] = {}

    def hold(tx: Tx) -> None:
        entered.set()
        assert gate.wait(10)

    def fails(tx: Tx) -> None:
        tx.open_occurrence(make_alert("half"), 1.0)
        tx.schedule("of nobody", 7, 1.0)
        raise ZeroDivisionError("mine")

    def refused(tx: Tx) -> None:
        tx.open_occurrence(make_alert("refused"), 1.0)
        tx.move(id, State.SUCCEEDED, Reason.PROVEN, 1.0)

    def call(name: str, work: Callable[[Tx], object]) -> None:
        try:
            outcomes[name] = store.write(work)
        except (ArithmeticError, IllegalMove, sqlite3.Error) as error:
            outcomes[name] = error

    told: list[tuple[str, int]] = []
    store.on_due = lambda dues: told.extend((due.kind, due.id) for due in dues)
    jobs = {
        "first": lambda tx: tx.open_occurrence(make_alert("first"), 1.0)[1],
        "fails": fails,
        "refused": refused,
        "wrong": lambda tx: tx._connection.execute("SELECT * FROM no_such_table"),
        "last": lambda tx: tx.open_occurrence(make_alert("last"), 1.0)[1],
    }
    threads = [threading.Thread(target=call, args=("hold", hold))]
    threads[0].start()
    assert entered.wait(10)
    # while the first group is under way the others gather, so they are committed together
    for name, work in jobs.items():
        threads.append(threading.Thread(target=call, args=(name, work)))
        threads[-1].start()
    assert wait_for(lambda: len(store._writer._queue) == len(jobs))
    gate.set()
    for thread in threads:
        thread.join(10)

    assert (outcomes["first"], outcomes["last"]) == (True, True)
    assert isinstance(outcomes["fails"], ZeroDivisionError)
    assert isinstance(outcomes["refused"], IllegalMove)
    assert isinstance(outcomes["wrong"], sqlite3.OperationalError)
    with store.read() as reader:
        stored = {each.alert.fingerprint: each.id for each in reader.open_occurrences()}
    assert stored.keys() == {"made-0", "first", "last"}
    assert sorted(told) == [("occurrence", stored["first"]), ("occurrence", stored["last"])]


def test_a_write_within_a_write_is_an_error_and_not_a_hang(store: Store) -> None:
    with pytest.raises(RuntimeError, match="a write inside a write would wait for itself"):
        store.write(lambda tx: store.write(lambda inner: inner.counts()))


def test_a_listener_that_fails_does_not_undo_what_is_committed(store: Store, make_alert: Callable[..., Alert]) -> None:
    def broken(dues: object) -> None:
        raise ValueError("listener")

    store.on_due = broken

    assert store.write(lambda tx: tx.open_occurrence(make_alert("a"), 1.0)) == (1, True)
    assert store.errors == 1


def fill(store: Store, count: int) -> None:
    """Write until something gives way."""
    alert = Alert("firing", {"alertname": "Big", "text": "x" * 100_000}, {}, 0.0, "big")
    for number in range(count):
        store.write(lambda tx: _two(tx, alert, number))  # noqa: B023


def _two(tx: Tx, alert: Alert, number: int) -> None:
    for half in ("a", "b"):
        tx.open_occurrence(Alert("firing", alert.labels, {}, 0.0, f"{number}-{half}"), 1.0)


def assert_whole(store: Store) -> int:
    """Every write stored both its occurrences or none; return how many are there."""
    with store.read() as reader:
        found = [each.alert.fingerprint.partition("-")[0] for each in reader.open_occurrences()]
        work = reader.work()
    assert all(found.count(number) == 2 for number in set(found))
    assert len(work) == len(found)
    return len(found)


def test_a_full_database_is_unavailable_and_recovers_when_there_is_room(store: Store) -> None:
    def limit(pages: int) -> None:
        store.write(lambda tx: tx._connection.execute(f"PRAGMA max_page_count = {pages}").fetchall())

    fill(store, 3)
    limit(1)  # SQLite takes the present size as the least possible

    with pytest.raises(StoreUnavailable, match="the store cannot write: database or disk is full"):
        fill(store, 1_000)
    before = assert_whole(store)
    with pytest.raises(StoreUnavailable):
        store.write(lambda tx: _two(tx, Alert("firing", {"t": "x" * 100_000}, {}, 0.0, ""), 2_000))
    assert assert_whole(store) == before
    assert store.errors == 2

    limit(1_000_000)
    store.write(lambda tx: _two(tx, Alert("firing", {}, {}, 0.0, ""), 3_000))
    assert assert_whole(store) == before + 2


def test_a_disk_that_refuses_writes_is_unavailable_and_recovers(store: Store, clock: ManualClock) -> None:
    fill(store, 3)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (store.folder / "selfheal.db-wal").stat().st_size
    # the kernel now refuses to let any file of this process grow: what a full disk looks like to SQLite
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4_096, hard))
    try:
        with pytest.raises(StoreUnavailable, match="the store cannot write: "):
            fill(store, 1_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    before = assert_whole(store)

    store.write(lambda tx: _two(tx, Alert("firing", {}, {}, 0.0, ""), 3_000))
    assert assert_whole(store) == before + 2

    store.close()
    again = Store.open(store.folder, clock)
    assert assert_whole(again) == before + 2
    again.close()


def test_a_file_locked_by_somebody_else_is_unavailable_until_they_let_go(
    tmp_path: Path, clock: ManualClock, make_alert: Callable[..., Alert]
) -> None:
    opened = Store.open(tmp_path, clock, busy_seconds=0.05)
    other = sqlite3.connect(tmp_path / "selfheal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreUnavailable, match="the store cannot write: database is locked"):
            opened.write(lambda tx: tx.open_occurrence(make_alert("a"), 1.0))
        with opened.read() as reader:
            assert reader.open_occurrences() == []
    finally:
        other.close()

    assert opened.write(lambda tx: tx.open_occurrence(make_alert("a"), 1.0)) == (1, True)
    opened.close()


def test_a_closed_store_is_unavailable(store: Store) -> None:
    store.close()
    store.close()

    with pytest.raises(StoreUnavailable, match="the store is closed"):
        store.write(lambda tx: tx.counts())
    with pytest.raises(StoreUnavailable, match="the store is closed"), store.read():
        pass


def test_closing_commits_what_is_queued(tmp_path: Path, clock: ManualClock, make_alert: Callable[..., Alert]) -> None:
    opened = Store.open(tmp_path, clock)
    gate, entered = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        entered.set()
        assert gate.wait(10)
        tx.open_occurrence(make_alert("held"), 1.0)

    writer = threading.Thread(target=opened.write, args=(hold,))
    writer.start()
    assert entered.wait(10)
    closer = threading.Thread(target=opened.close)
    closer.start()
    gate.set()
    writer.join(10)
    closer.join(10)

    with Reader.open(tmp_path) as reader:
        assert [each.alert.fingerprint for each in reader.open_occurrences()] == ["held"]


def test_a_reader_sees_one_moment_while_writing_goes_on(store: Store, make_alert: Callable[..., Alert]) -> None:
    store.write(lambda tx: tx.open_occurrence(make_alert("a"), 1.0))

    with store.read() as reader:
        store.write(lambda tx: tx.open_occurrence(make_alert("b"), 2.0))
        seen = [each.alert.fingerprint for each in reader.open_occurrences()]
        with store.read() as later:
            seen_later = [each.alert.fingerprint for each in later.open_occurrences()]

    assert (seen, seen_later) == (["a"], ["a", "b"])


def test_many_readers_and_writers_at_once_disturb_nobody(store: Store, make_alert: Callable[..., Alert]) -> None:
    counts: list[list[int]] = []

    def write(word: str) -> None:
        for number in range(50):
            store.write(lambda tx, number=number: tx.open_occurrence(make_alert(f"{word}{number}"), 1.0))  # type: ignore[misc]

    def look() -> None:
        seen = []
        for _ in range(50):
            with store.read() as reader:
                seen.append(len(reader.open_occurrences()))
        counts.append(seen)

    threads = [threading.Thread(target=write, args=(word,)) for word in "abcd"]
    threads += [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [seen == sorted(seen) for seen in counts] == [True] * 4
    with store.read() as reader:
        assert len(reader.open_occurrences()) == 200


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="attempt to write a readonly database"), store.read() as reader:
        reader._connection.execute("DELETE FROM work")


def test_reading_offline_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot read the store in .*: unable to open database file"):
        Reader.open(tmp_path)


def test_the_ballast_is_given_up_once_and_made_again_when_there_is_time_and_room(
    store: Store, clock: ManualClock
) -> None:
    ballast = store.folder / "ballast"
    assert ballast.stat().st_size == SIZE
    assert ballast.stat().st_blocks * 512 >= SIZE

    given = [store.give_up_ballast(), store.give_up_ballast()]
    assert given == [True, False]

    clock.advance(59.9)
    store.write(lambda tx: tx.schedule("retention", 0, 1.0))
    store.write(lambda tx: tx.schedule("retention", 0, 2.0))
    assert not ballast.exists()

    clock.advance(0.1)
    store.write(lambda tx: tx.schedule("retention", 0, 3.0))
    store.close()
    assert ballast.stat().st_size == SIZE


def test_without_room_the_ballast_is_not_made_and_nothing_is_left_of_the_try(store: Store) -> None:
    store.give_up_ballast()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE - 1, hard))
    try:
        assert not store.restore_ballast()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert sorted(path.name for path in store.folder.glob("*ballast*")) == []
    assert store.restore_ballast()
