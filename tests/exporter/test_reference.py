"""The page of all metrics is what the code says."""

from __future__ import annotations

import re

import pytest

from exporter.collectors import COLLECTORS
from tests.exporter.catalogue import Entry, entries
from tests.exporter.reference import PAGE, page, unit


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.exporter.reference"


def test_every_metric_is_of_one_collector_or_the_exporters_own() -> None:
    assert {entry.collector for entry in entries()} - {"exporter"} <= COLLECTORS.keys()
    assert len({entry.name for entry in entries()}) == len(entries())


@pytest.mark.parametrize("prefix", ["node_", "namedprocess_", "probe_", "process_", "promhttp_", "selfheal_"])
def test_names_have_a_known_prefix(prefix: str) -> None:
    assert any(entry.name.startswith(prefix) for entry in entries())


def test_no_metric_has_another_prefix_than_those() -> None:
    known = re.compile(r"(node|namedprocess|probe|process|promhttp|selfheal)_\w+")

    assert [entry.name for entry in entries() if not known.fullmatch(entry.name)] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("node_boot_time_seconds", "s since 1970"),
        ("node_disk_io_time_seconds_total", "s"),
        ("selfheal_collector_refresh_timestamp_seconds", "s since 1970"),
        ("node_disk_read_bytes_total", "bytes"),
        ("namedprocess_namegroup_worst_fd_ratio", "ratio 0–1"),
        ("node_uname_info", "always 1"),
        ("node_forks_total", "1"),
    ],
)
def test_a_unit_is_read_from_the_name(name: str, expected: str) -> None:
    assert unit(Entry("cpu", name, "gauge", (), "")) == expected
