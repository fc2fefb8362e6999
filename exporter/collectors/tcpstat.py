"""TCP connections by state: node_exporter's tcpstat collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.procfs.net import is_own_namespace
from exporter.procfs.net_diag import NETLINK_SOCK_DIAG, count_connections
from exporter.procfs.net_socket import Netlink
from exporter.settings import NoDataError, Settings

name = "tcpstat"
text = "TCP connections by state; the cost grows with their number"
enabled = False

_STATES = Metric(
    "node_tcp_connection_states", "gauge", "TCP connections in each state, and the bytes that wait in all of them.",
    ("state",),
)  # fmt: skip


def add_flags(_parser: argparse._ActionsContainer) -> None:
    """Add nothing: this collector has no settings."""


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that asks the kernel, which knows only this process's network namespace."""
    procfs = settings.paths.procfs
    is_own = is_own_namespace(procfs)
    netlink = Netlink(NETLINK_SOCK_DIAG)

    def collect() -> list[Family]:
        if not is_own:
            raise NoDataError(f"{procfs} does not show the connections that this process could ask for")
        found = count_connections(netlink)
        if not found.states:
            return []
        waiting = {("rx_queued_bytes",): found.received, ("tx_queued_bytes",): found.to_send}
        return [_STATES.of({(state,): count for state, count in found.states.items()} | waiting)]

    return collect
