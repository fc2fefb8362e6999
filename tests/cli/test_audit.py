"""`selfheal audit`: what it says of a history that is whole, altered, cut or exported, with the daemon up and down."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from remediator.store.audit import HEAD, write_head
from tests.cli.conftest import Home


def keep_head(home: Home) -> str:
    with home.store.read() as reader:
        head = reader.audit_head()
    write_head(home.own, head, 1.0)
    return f"{head.id}:{head.hash.hex()}"


def by_hand(home: Home, statement: str) -> None:
    connection = sqlite3.connect(home.own / "selfheal.db")
    for name in ("event_stays", "event_goes_behind_an_anchor"):
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("daemon", [True, False], ids=["up", "down"])
def test_a_whole_history_is_told_with_the_head_to_keep(home: Home, daemon: bool) -> None:
    head = keep_head(home)
    if not daemon:
        home.store.close()

    told = home.selfheal("audit", "verify")

    assert told.code == 0
    assert "The history is whole. Events checked: " in told.out
    assert f"keep this elsewhere: {head}" in told.out
    assert home.selfheal("audit", "verify", "--expect", head).code == 0


@pytest.mark.parametrize(
    ("statement", "first", "said"),
    [
        ("UPDATE event SET reason = 'proven' WHERE id = 2", 2, "its content and its hash do not belong together"),
        ("DELETE FROM event WHERE id = 3", 3, "it is missing"),
        ("DELETE FROM event WHERE id > 5", 6, "it and all later ones were cut off"),
    ],
)
def test_an_altered_history_fails_with_the_first_bad_event(home: Home, statement: str, first: int, said: str) -> None:
    keep_head(home)
    by_hand(home, statement)

    told = home.selfheal("audit", "verify")
    found = home.selfheal("audit", "verify", "--json")

    assert told.code == found.code == 1
    assert f"The history was altered: event {first} – {said}." in told.out
    assert (found.json()["ok"], found.json()["first_bad"]) == (False, first)


def test_another_history_is_found_only_by_a_head_kept_elsewhere(home: Home) -> None:
    head = keep_head(home)
    other = f"{head.partition(':')[0]}:{'0' * 64}"

    assert home.selfheal("audit", "verify").code == 0
    told = home.selfheal("audit", "verify", "--expect", other)

    assert told.code == 1
    assert "another event stands where a known one was" in told.out


def test_without_a_head_it_says_what_could_not_be_seen(home: Home) -> None:
    told = home.selfheal("audit", "verify", "--lang=ko")

    assert told.code == 0
    assert "audit.head가 없어" in told.out


def test_a_broken_head_is_told_and_not_traced(home: Home) -> None:
    (home.own / HEAD).write_text("{")

    told = home.selfheal("audit", "verify")

    assert told.code == 3
    assert "audit.head is broken" in told.err


def test_an_export_can_be_checked_line_by_line(home: Home) -> None:
    told = home.selfheal("audit", "export")

    lines = told.out.splitlines()
    assert told.code == 0
    assert [json.loads(line)["id"] for line in lines] == list(range(1, len(lines) + 1))
    for line in lines:
        body, _, rest = line.rpartition(',"hash":"')
        assert hashlib.sha256(f"{body}}}".encode()).hexdigest() == rest.removesuffix('"}')
    assert home.selfheal("audit", "export", "--json").json()["entries"] == [json.loads(line) for line in lines]


def test_an_export_begins_and_ends_where_it_is_told(home: Home) -> None:
    def ids(*words: str) -> list[int]:
        return [json.loads(line)["id"] for line in home.selfheal("audit", "export", *words).out.splitlines()]

    whole = ids()
    times = {
        json.loads(line)["id"]: json.loads(line)["at"] for line in home.selfheal("audit", "export").out.splitlines()
    }
    # 2026-01-01T00:00:05Z is when the first remediation was proven
    later = [id for id in whole if times[id] >= 1_767_225_605.0]

    assert ids("--from", "3", "--to", "5") == [3, 4, 5]
    assert ids("--from", "2026-01-01T00:00:05Z") == later
    assert ids("--to", "2026-01-01T00:00:04.999Z") == [id for id in whole if id < later[0]]
    assert ids("--from", "2030-01-01T00:00:00Z") == []
    assert home.selfheal("audit", "export", "--from", "noon").code == 2


def test_without_a_store_there_is_nothing_to_verify(tmp_path: Path, home: Home) -> None:
    empty = tmp_path / "empty.yml"
    empty.write_text(f"state: {tmp_path}/nowhere\n")

    told = home.say("audit", "verify", "--config.file", str(empty), "--lang", "en")

    assert told.code == 3
    assert "has never run there" in told.err
