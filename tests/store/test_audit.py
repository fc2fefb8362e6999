"""The chain of events: whatever is done to it by other hands is found, and what we do to it ourselves is not."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.errors import StoreUnavailable
from remediator.model import Reason, State
from remediator.store import Reader, Store
from remediator.store.audit import HEAD, read_head, write_head
from remediator.store.chain import GENESIS, Audit, Break, Position
from remediator.store.schema import MIGRATIONS
from selfheal.common.clock import ManualClock

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "remediator" / "store" / "sqlite"
EVENTS = 8


def write_events(store: Store, count: int = EVENTS, at: float = 1_000.0) -> None:
    def work(tx) -> None:  # type: ignore[no-untyped-def]
        for number in range(count):
            tx.add_event(
                "moved", at + number, remediation_id=number, new="running", detail={"number": number, "a": "é"}
            )

    store.write(work)


def verify(store: Store) -> Audit:
    head = read_head(store.folder)
    with Reader.open(store.folder) as reader:
        return reader.audit_verify([head] if head else [])


def by_hand(store: Store, *statements: str) -> None:
    """Change the file as somebody with a database tool would: without the triggers."""
    store.close()
    connection = sqlite3.connect(store.folder / "selfheal.db")
    for name in [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def head_of(store: Store) -> Position:
    with store.read() as reader:
        return reader.audit_head()


def remember(store: Store) -> None:
    write_head(store.folder, head_of(store), 2_000.0)


def test_an_untouched_chain_is_whole_while_its_writer_runs_and_when_it_has_ended(store: Store) -> None:
    write_events(store)
    remember(store)

    running = verify(store)
    store.close()
    ended = verify(store)

    assert running == ended
    assert (running.ok, running.checked, running.head.id, running.unchained) == (True, EVENTS, EVENTS, 0)


def test_an_empty_store_is_whole(store: Store) -> None:
    assert verify(store) == Audit(0, 0, 0, Position(0, GENESIS))


ATTACKS = {
    "a byte of the detail": (["UPDATE event SET detail = replace(detail, '3', '4') WHERE id = 4"], Break.ALTERED, 4),
    "the time": (["UPDATE event SET at = at + 0.000001 WHERE id = 5"], Break.ALTERED, 5),
    "the reason": (["UPDATE event SET reason = 'proven' WHERE id = 2"], Break.ALTERED, 2),
    "whose it is": (["UPDATE event SET remediation_id = 99 WHERE id = 2"], Break.ALTERED, 2),
    "another hash": (["UPDATE event SET hash = zeroblob(32) WHERE id = 1"], Break.ALTERED, 1),
    "no hash": (["UPDATE event SET hash = NULL WHERE id = 6"], Break.UNHASHED, 6),
    "a row deleted": (["DELETE FROM event WHERE id = 3"], Break.MISSING, 3),
    "the first deleted": (["DELETE FROM event WHERE id <= 2"], Break.MISSING, 1),
    "a row deleted and the rest moved up": (
        ["DELETE FROM event WHERE id = 3", "UPDATE event SET id = id - 1 WHERE id > 3"], Break.ALTERED, 3,
    ),
    "two in another order": (
        ["UPDATE event SET id = 100 WHERE id = 4", "UPDATE event SET id = 4 WHERE id = 5",
         "UPDATE event SET id = 5 WHERE id = 100"], Break.ALTERED, 4,
    ),
    "a row added in the middle": (
        ["UPDATE event SET id = -id WHERE id >= 4", "UPDATE event SET id = 1 - id WHERE id < 0",
         "INSERT INTO event SELECT 4, at, remediation_id, occurrence_id, kind, old, new, reason, detail, hash"
         " FROM event WHERE id = 3"], Break.ALTERED, 4,
    ),
    "the end cut off": (["DELETE FROM event WHERE id > 5"], Break.TRUNCATED, 6),
    "everything deleted": (["DELETE FROM event"], Break.TRUNCATED, 1),
    "the beginning deleted, with an anchor of one's own": (
        ["INSERT INTO audit_anchor SELECT id, hash, at, 'retention' FROM event WHERE id = 3",
         "DELETE FROM event WHERE id <= 3"], Break.ANCHOR, 3,
    ),
    "the anchor deleted": (["DELETE FROM audit_anchor"], Break.ANCHOR, 0),
}  # fmt: skip


@pytest.mark.parametrize(("attack", "problem", "first"), ATTACKS.values(), ids=ATTACKS)
def test_what_other_hands_do_is_found_with_the_first_bad_id(
    store: Store, attack: list[str], problem: Break, first: int
) -> None:
    write_events(store)
    remember(store)
    by_hand(store, *attack)

    found = verify(store)

    assert (found.ok, found.problem, found.first_bad) == (False, problem, first)


def test_a_chain_made_anew_after_an_altered_event_differs_from_a_known_head(store: Store) -> None:
    write_events(store)
    remember(store)
    known = head_of(store)
    by_hand(store, "DELETE FROM event WHERE id >= 5")
    (store.folder / HEAD).unlink()
    again = Store.open(store.folder, ManualClock())
    write_events(again, 6, at=3_000.0)
    again.close()

    with Reader.open(store.folder) as reader:
        # without a head from before nothing can be said: whoever can write the file can write all of it
        assert reader.audit_verify().ok
        found = reader.audit_verify([known])
    assert (found.problem, found.first_bad) == (Break.REPLACED, known.id)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_of_any_column_is_found(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store.open(tmp_path_factory.mktemp("flip") / "state", ManualClock())
    write_events(store, 3)
    id = data.draw(st.integers(1, 3))
    column = data.draw(
        st.sampled_from(["detail", "kind", "new", "hash", "at", "remediation_id", "occurrence_id", "old"])
    )
    with store.read() as reader:
        value = reader._connection.execute(f"SELECT {column} FROM event WHERE id = ?", (id,)).fetchall()[0][0]
    match value:
        case str():
            place = data.draw(st.integers(0, len(value) - 1))
            value = f"{value[:place]}{chr(ord(value[place]) ^ 1)}{value[place + 1 :]}"
        case bytes():
            place = data.draw(st.integers(0, 31))
            value = value[:place] + bytes([value[place] ^ 1 << data.draw(st.integers(0, 7))]) + value[place + 1 :]
        case None:
            value = "0"
        case _:
            value += 1
    by_hand(store)
    connection = sqlite3.connect(store.folder / "selfheal.db")
    connection.execute(f"UPDATE event SET {column} = ? WHERE id = ?", (value, id))
    connection.commit()
    connection.close()

    found = verify(store)

    assert (found.ok, found.first_bad) == (False, id)


REFUSED = [
    ("UPDATE event SET kind = 'x'", "history is never rewritten"),
    ("UPDATE event SET hash = NULL", "history is never rewritten"),
    ("DELETE FROM event WHERE id = 1", "history goes from its beginning only, behind an anchor"),
    ("INSERT INTO event (at, kind, detail) VALUES (1.0, 'x', '{}')", "an event carries its hash"),
    ("UPDATE audit_anchor SET event_id = 9", "an anchor is never rewritten"),
    ("DELETE FROM audit_anchor", "only a later anchor replaces one"),
]


@pytest.mark.parametrize(("statement", "message"), REFUSED)
def test_the_database_itself_refuses_to_rewrite_history(store: Store, statement: str, message: str) -> None:
    write_events(store)

    with pytest.raises(sqlite3.IntegrityError, match=message):
        store.write(lambda tx: tx._connection.execute(statement))
    assert verify(store).ok


def test_retention_forgets_from_the_beginning_and_the_rest_is_still_proven(store: Store) -> None:
    write_events(store)

    gone = [store.write(lambda tx: tx.prune_events(1_003.0, 2)) for _ in range(3)]

    assert gone == [2, 1, 0]
    found = verify(store)
    # what is left, and the two events that tell of what went
    assert (found.ok, found.checked, found.begins_after) == (True, EVENTS - 3 + 2, 3)
    with store.read() as reader:
        entries = reader.audit_entries(0, 100)["items"]
    assert [(entry["kind"], entry["detail"].get("through")) for entry in entries[-2:]] == [("pruned", 2), ("pruned", 3)]


def test_events_go_on_and_ids_with_them_when_retention_took_all(store: Store) -> None:
    write_events(store)

    assert store.write(lambda tx: tx.prune_events(9_999.0, 100)) == EVENTS
    folder, clock = store.folder, ManualClock()
    store.close()
    again = Store.open(folder, clock)
    write_events(again, 1)

    found = verify(again)
    again.close()
    assert (found.ok, found.head.id, found.begins_after) == (True, EVENTS + 2, EVENTS)


def test_an_event_of_a_later_time_keeps_what_came_after_it(store: Store) -> None:
    write_events(store, 2)
    write_events(store, 1, at=9_000.0)
    write_events(store, 2)

    assert store.write(lambda tx: tx.prune_events(5_000.0, 100)) == 2
    assert verify(store).ok


AHEAD = 4_000_000_000.0
"""A time that the clock of these tests has not reached."""


def test_events_from_ahead_of_the_clock_go_with_what_came_after_them(store: Store) -> None:
    write_events(store, 2)
    write_events(store, 3, at=AHEAD)
    write_events(store, 2)
    write_events(store, 1, at=AHEAD)

    # more of them in a row than are looked at in one go
    gone = [store.write(lambda tx: tx.prune_events(5_000.0, 2)) for _ in range(5)]

    assert gone == [2, 2, 2, 1, 0]
    # how old the last one is nobody knows yet
    assert verify(store).begins_after == 7
    assert verify(store).ok


def test_events_from_ahead_of_the_clock_stay_while_what_came_after_them_is_young(store: Store) -> None:
    write_events(store, 2, at=AHEAD)
    write_events(store, 1, at=9_000.0)
    write_events(store, 2)

    for limit in (1, 2, 100):
        assert store.write(lambda tx, limit=limit: tx.prune_events(5_000.0, limit)) == 0
    assert verify(store).begins_after == 0


def test_what_is_taken_back_leaves_no_gap(store: Store, add: Callable[..., int]) -> None:
    id = add()

    def fails(tx) -> None:  # type: ignore[no-untyped-def]
        tx.add_event("moved", 1.0)
        tx.move(id, State.RUNNING, Reason.ALLOWED, 1.0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write(fails)
    with pytest.raises(sqlite3.OperationalError):
        store.write(lambda tx: (tx.add_event("moved", 1.0), tx._connection.execute("SELECT * FROM nowhere")))
    write_events(store, 1)

    found = verify(store)
    assert (found.ok, found.checked) == (True, 2)


def test_acts_name_who_did_them(store: Store) -> None:
    store.write(lambda tx: tx.record_act("approved", "kim", 5.0, remediation_id=3, detail={"plan": "p"}))

    with store.read() as reader:
        (entry,) = reader.audit_entries(0, 10)["items"]
    assert (entry["kind"], entry["remediation_id"], entry["detail"]) == ("approved", "3", {"plan": "p", "who": "kim"})


def test_entries_are_paged_by_id(store: Store) -> None:
    write_events(store, 5)

    with store.read() as reader:
        first = reader.audit_entries(0, 2)
        rest = reader.audit_entries(int(first["next"]), 3)
    assert [entry["id"] for page in (first, rest) for entry in page["items"]] == ["1", "2", "3", "4", "5"]
    assert (first["next"], rest["next"]) == ("2", None)


def test_an_exported_line_can_be_checked_with_a_hash_function_alone(store: Store) -> None:
    write_events(store)

    with store.read() as reader:
        lines = list(reader.audit_lines())
        some = list(reader.audit_lines(3, 5))
    previous = GENESIS.hex()
    for number, line in enumerate(lines, 1):
        body, _, hash = line.removesuffix('"}').rpartition(',"hash":"')
        parsed = json.loads(line)
        assert hashlib.sha256(f"{body}}}".encode()).hexdigest() == hash
        assert (parsed["id"], parsed["previous"], parsed["hash"]) == (number, previous, hash)
        assert json.dumps(json.loads(f"{body}}}"), sort_keys=True, separators=(",", ":")) == f"{body}}}"
        previous = hash
    assert len(lines) == EVENTS
    assert some == lines[2:5]


def version_1(folder: Path, clear: bool = False) -> None:
    """Make a store as the first version left it, with five events."""
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "selfheal.db")
    connection.executescript((FOLDER / MIGRATIONS[0]).read_text("utf-8") + "PRAGMA user_version = 1;")
    for number in range(5):
        connection.execute("INSERT INTO event (at, kind, detail) VALUES (?, 'moved', '{}')", (float(number),))
    if clear:
        connection.execute("DELETE FROM event")
    connection.execute("INSERT INTO work (kind, id, due, priority, generation) VALUES ('occurrence', 3, 1.0, 0, 1)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("clear", [False, True], ids=["with events", "with none left"])
def test_a_store_of_version_1_is_chained_from_where_it_was(tmp_path: Path, clear: bool, clock: ManualClock) -> None:
    version_1(tmp_path / "state", clear)

    store = Store.open(tmp_path / "state", clock)
    write_events(store, 2)
    with store.read() as reader:
        waiting = [(row.kind, row.id) for row in reader.work()]
        ids = [event.id for event in reader.events_after(0, 100)]
    found = verify(store)
    pruned = store.write(lambda tx: tx.prune_events(500.0, 100))
    later = verify(store)
    store.close()

    assert waiting == [("occurrence", 3)]
    # ids go on, or whoever has read up to one would miss the new ones
    assert ids == [6, 7] if clear else ids == [1, 2, 3, 4, 5, 6, 7]
    assert (found.ok, found.checked, found.unchained, found.begins_after) == (True, 2, 0 if clear else 5, 5)
    assert (pruned, later.ok, later.unchained) == (0 if clear else 5, True, 0)


def test_a_head_that_cannot_be_read_is_an_error_and_not_no_head(tmp_path: Path) -> None:
    assert read_head(tmp_path) is None
    (tmp_path / HEAD).write_text('{"id": 3}')

    with pytest.raises(ValueError, match="is broken"):
        read_head(tmp_path)


KILLED = """
import os, sys
from pathlib import Path
from remediator.store import Store
from remediator.store.audit import write_head
from selfheal.common.clock import SystemClock
store = Store.open(Path(sys.argv[1]), SystemClock())
while True:
    for _ in range(7):
        store.write(lambda tx: tx.add_event("moved", 1.0, new="running"))
    with store.read() as reader:
        head = reader.audit_head()
    os.write(1, b".")
    write_head(store.folder, head, 1.0)
"""


def test_a_kill_between_commit_and_head_leaves_a_chain_that_is_whole(tmp_path: Path) -> None:
    for times in (1, 3, 8, 13):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "state")],
            stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            process.stdout.read(times)
            process.send_signal(signal.SIGKILL)
        with Reader.open(tmp_path / "state") as reader:
            head = read_head(tmp_path / "state")
            found = reader.audit_verify([head] if head else [])

        assert (found.ok, found.problem) == (True, None)
        assert found.checked >= 7


def test_an_export_in_pieces_is_the_export_and_ends_where_history_was_shortened(store: Store) -> None:
    write_events(store)
    pieces: list[str] = []
    last: int | None = None
    with store.read() as reader:
        while True:
            lines, last = reader.audit_piece(last, 3)
            pieces += lines
            if not lines:
                break
        assert pieces == list(reader.audit_lines())
    store.write(lambda tx: tx.prune_events(1_005.0, 100))

    with store.read() as reader:
        assert [json.loads(line)["id"] for line in reader.audit_piece(5, 2)[0]] == [6, 7]
        with pytest.raises(StoreUnavailable):
            reader.audit_piece(4, 2)
