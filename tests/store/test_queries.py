"""The named queries: each is used, each fits the schema, and none has the name of another."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from remediator.store import Store, queries

FOLDER = Path(queries.__file__).parent
SCOPES = ("target", "playbook", "all")


@pytest.mark.parametrize("name", sorted(queries.queries()))
def test_every_query_is_used(name: str) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    built = {f"starts_of_{scope}" for scope in SCOPES} if "starts_of_{scope}" in code else set()

    assert f'"{name}"' in code or name in built


@pytest.mark.parametrize("name", sorted(queries.queries()))
def test_every_query_fits_the_schema(store: Store, name: str) -> None:
    text = queries.queries()[name]
    explain = text if text.startswith("PRAGMA") else f"EXPLAIN {text}"

    rows = store.write(lambda tx: tx._connection.execute(explain, defaultdict(int)).fetchall())

    assert rows or text.startswith("PRAGMA")


@pytest.mark.parametrize(
    "name",
    [
        "refresh_occurrence",
        "last_effect",
        "starts_of_target",
        "longest_waiting",
        "live_duplicate",
        "open_intents",
        "list_alerts_open",
        "count_alerts_open",
        "list_remediations_open",
        "count_remediations_open",
    ],
)
def test_what_is_asked_for_every_alert_never_reads_a_whole_table(store: Store, name: str) -> None:
    text = queries.queries()[name]

    def explain(tx):  # type: ignore[no-untyped-def]
        return [row[3] for row in tx._connection.execute(f"EXPLAIN QUERY PLAN {text}", defaultdict(int)).fetchall()]

    steps = store.write(explain)

    assert any("INDEX" in step for step in steps)
    # the table of states has a row per state and no more
    assert [step for step in steps if step.startswith("SCAN") and "INDEX" not in step and step != "SCAN state"] == []


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("live_duplicate", "remediation_unfinished"),
        ("cancel_of_occurrence", "remediation_unfinished"),
        ("unfinished_of_occurrence", "remediation_unfinished"),
        ("attempts", "remediation_begun"),
        ("tries", "remediation_begun"),
        ("newest_tries", "remediation_occurrence"),
        ("failed_since", "remediation_ended"),
        ("delete_deliveries", "delivery_at"),
    ],
)
def test_what_is_asked_for_an_alert_that_stays_on_reads_the_few_rows_that_count(
    store: Store, name: str, index: str
) -> None:
    text = queries.queries()[name]

    def explain(tx):  # type: ignore[no-untyped-def]
        return [row[3] for row in tx._connection.execute(f"EXPLAIN QUERY PLAN {text}", defaultdict(int)).fetchall()]

    steps = store.write(explain)

    assert any(step.startswith("SEARCH") and f"INDEX {index} " in step for step in steps)
    assert not any("TEMP B-TREE" in step for step in steps)


def test_a_query_file_is_read_by_its_names() -> None:
    text = "-- a word\n-- name: one\nSELECT 1;\n\n-- name: two\nSELECT 2\nFROM x;\n"

    assert queries.parse(text) == {"one": "SELECT 1", "two": "SELECT 2\nFROM x"}


def test_a_name_that_comes_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="query one is written twice"):
        queries.parse("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n")
