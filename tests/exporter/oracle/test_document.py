"""The page about compatibility is what the tables and the oracles say."""

from __future__ import annotations

from tests.exporter.oracle.document import PAGE, page


def test_the_page_is_what_the_tables_and_the_oracles_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.exporter.oracle.document"
