"""What the database itself refuses, an older store that is opened, and that each question reads few rows."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.model import Mode
from remediator.store import Store, Tx, queries
from remediator.store.schema import DATABASE, MIGRATIONS
from selfheal.common.clock import ManualClock

FOLDER = Path(queries.__file__).parent / "sqlite"


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state", clock)
    yield opened
    opened.close()


def test_only_somebody_with_a_name_promotes(store: Store) -> None:
    store.write(lambda tx: tx.set_rung("heal", "d", Mode.OBSERVE, "", "worse", 1.0))

    for higher in (Mode.APPROVE, Mode.AUTO):
        with pytest.raises(sqlite3.IntegrityError, match="only a person promotes"):
            store.write(lambda tx, higher=higher: tx.set_rung("heal", "d", higher, "", "by itself", 2.0))
    store.write(lambda tx: tx.set_rung("heal", "d", Mode.APPROVE, "kim", "earned", 2.0))
    store.write(lambda tx: tx.set_rung("heal", "d", Mode.OBSERVE, "", "worse", 3.0))
    with store.read() as reader:
        assert reader.rungs() == {("heal", "d"): Mode.OBSERVE}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM trust", "a demotion is never forgotten"),
        ("UPDATE trust SET after = after - 1", "what counts no more never counts again"),
        ("UPDATE trust SET rung = 'free', who = 'kim'", "CHECK constraint failed"),
    ],
)
def test_what_a_demotion_took_away_stays_away(store: Store, statement: str, message: str) -> None:
    store.write(lambda tx: tx.set_rung("heal", "d", Mode.OBSERVE, "", "worse", 1.0))

    with pytest.raises(sqlite3.IntegrityError, match=message):
        store.write(lambda tx: tx._connection.execute(statement))


def test_a_change_that_is_rolled_back_changed_nothing(store: Store) -> None:
    def breaks(tx: Tx) -> None:
        tx.set_rung("heal", "d", Mode.AUTO, "kim", "earned", 1.0)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.write(breaks)

    with store.read() as reader:
        assert reader.rungs() == {}
        assert reader.due_of("trust", 0) is None


def test_a_store_of_the_second_version_goes_on_and_counts_from_now(tmp_path: Path, clock: ManualClock) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with sqlite3.connect(folder / DATABASE) as connection:
        for number, name in enumerate(MIGRATIONS[:2], 1):
            connection.executescript((FOLDER / name).read_text("utf-8"))
            connection.execute(f"PRAGMA user_version = {number}")
    connection.close()
    store = Store.open(folder, clock)
    try:
        with store.read() as reader:
            assert reader.rung("heal", "d") is None
            assert reader.evidence("heal", "d", Mode.AUTO).judged == 0
        store.write(lambda tx: tx.set_rung("heal", "d", Mode.APPROVE, "kim", "earned", 1.0))
    finally:
        store.close()


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("trust_rung", "PRIMARY KEY"),
        ("trust_runs_open", "trust_run_open"),
        ("trust_runs_due", "trust_run_due"),
        ("trust_shadows_since", "trust_run_shadow"),
        ("trust_shadow_on", "trust_run_shadow"),
        ("trust_unknown", "remediation_state"),
        ("trust_held", "remediation_state"),
        ("trust_others_acted", "remediation_target"),
    ],
)
def test_what_is_asked_again_and_again_reads_the_few_rows_that_count(store: Store, name: str, index: str) -> None:
    def explain(tx: Tx) -> list[str]:
        found = tx._connection.execute(f"EXPLAIN QUERY PLAN {queries.queries()[name]}", defaultdict(int)).fetchall()
        return [row[3] for row in found]

    steps = store.write(explain)

    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps
