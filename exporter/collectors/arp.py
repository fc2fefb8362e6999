"""Entries of the ARP table by device: node_exporter's arp collector."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

from exporter.encode import Family, Metric
from exporter.filters import add_filter_flags, read_filter
from exporter.procfs import net, net_link
from exporter.procfs.kept import KeptFile
from exporter.procfs.net_socket import Netlink
from exporter.settings import Settings
from selfheal.common.flags import add_flag

name = "arp"
text = "entries of the ARP table by device"
enabled = True

_ENTRIES = Metric("node_arp_entries", "gauge", "Neighbours that the ARP table holds.", ("device",))


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the filter and the way of counting, spelled as in node_exporter."""
    add_filter_flags(parser, "--collector.arp.device", "network devices")
    add_flag(
        parser, "--collector.arp.netlink", action=argparse.BooleanOptionalAction, default=True,
        help="ask by netlink where procfs is this network namespace's own; else count the lines of net/arp",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads net/arp."""
    flags = vars(settings.flags)
    devices = read_filter(flags, "--collector.arp.device", both=True)
    file = KeptFile(settings.paths.procfs / "net" / "arp")
    netlink = Netlink()
    may_ask = bool(flags["collector.arp.netlink"]) and net.is_own_namespace(settings.paths.procfs)

    def collect() -> list[Family]:
        counts = _count(netlink if may_ask else None, file)
        return [_ENTRIES.of({(device,): count for device, count in sorted(counts.items()) if devices.wants(device)})]

    return collect


def _count(netlink: Netlink | None, file: KeptFile) -> Counter[str]:
    if netlink is not None:
        try:
            return net_link.count_neighbours(netlink)
        except (OSError, ValueError):
            # it may be forbidden to us; the file differs in entries of others that this host answers for
            pass
    return net.count_neighbours(file.read())
