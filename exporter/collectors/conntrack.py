"""How full the table of tracked connections is, and what happened there: node_exporter's conntrack collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.kept import KeptFile
from exporter.procfs.net import sum_conntrack
from exporter.settings import IncompleteError, NoDataError, Settings

name = "conntrack"
text = "tracked connections and their limit"
enabled = True

_ENTRIES = Metric("node_nf_conntrack_entries", "gauge", "Connections tracked now.")
_LIMIT = Metric("node_nf_conntrack_entries_limit", "gauge", "Most connections that can be tracked.")


def _metric(what: str, text: str) -> Metric:
    return Metric(f"node_nf_conntrack_stat_{what}", "gauge", text)


# in the order of the fields of Conntrack
_STATISTICS = (
    _metric("found", "Entries looked for and found."),
    _metric("invalid", "Packets that cannot be tracked."),
    _metric("ignore", "Packets that had an entry already, or need none."),
    _metric("insert", "Entries put into the table."),
    _metric("insert_failed", "Entries that could not be put into the table, for one like it was there."),
    _metric("drop", "Packets dropped because no entry could be made."),
    _metric("early_drop", "Entries removed to make room in a full table."),
    _metric("search_restart", "Searches begun again because the table was resized meanwhile."),
)


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the sizes and the statistics."""
    folder = settings.paths.procfs / "sys" / "net" / "netfilter"
    count, limit = KeptFile(folder / "nf_conntrack_count"), KeptFile(folder / "nf_conntrack_max")
    statistics = KeptFile(settings.paths.procfs / "net" / "stat" / "nf_conntrack")

    def collect() -> list[Family]:
        try:
            families = [_ENTRIES.only(int(count.read())), _LIMIT.only(int(limit.read()))]
        except FileNotFoundError as error:
            raise NoDataError(f"connections are not tracked: {error}") from error
        try:
            sums = sum_conntrack(statistics.read())
        except OSError as error:
            raise IncompleteError(f"cannot read the statistics of connection tracking: {error}", families) from error
        return [*families, *(metric.only(value) for metric, value in zip(_STATISTICS, sums, strict=True))]

    return collect
