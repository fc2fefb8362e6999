"""What each network device has received and sent, and its addresses: node_exporter's netdev collector."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from exporter.encode import Family, Metric
from exporter.filters import add_filter_flags, read_filter
from exporter.procfs.kept import KeptFile
from exporter.procfs.net import is_own_namespace, parse_devices
from exporter.procfs.net_link import LINK_COUNTERS, LinkCounters, read_addresses
from exporter.procfs.net_socket import Netlink
from exporter.procfs.sysfs import read_text
from exporter.settings import Settings
from selfheal.common.flags import add_flag

name = "netdev"
text = "traffic and errors of each network device"
enabled = True

_Read = Callable[[], dict[str, tuple[int, ...]]]
_Columns = Mapping[str, tuple[int, ...]]

_TEXTS = {
    "collisions": "Collisions while sending.",
    "multicast": "Multicast packets received.",
    "receive_bytes": "Bytes received.",
    "receive_compressed": "Compressed packets received.",
    "receive_crc_errors": "Packets received with a wrong checksum.",
    "receive_drop": "Packets that arrived and were dropped, by the host or by the device for want of room.",
    "receive_dropped": "Packets that arrived and were dropped by the host.",
    "receive_errors": "Bad packets received.",
    "receive_errs": "Bad packets received.",
    "receive_fifo": "Packets that overran the device's queue.",
    "receive_fifo_errors": "Packets that overran the device's queue.",
    "receive_frame": "Packets received with a wrong frame, length or checksum.",
    "receive_frame_errors": "Packets received with a wrong frame alignment.",
    "receive_length_errors": "Packets received with a wrong length.",
    "receive_missed_errors": "Packets that the device had no room for.",
    "receive_multicast": "Multicast packets received.",
    "receive_nohandler": "Packets received on an inactive device, for which nothing was there to take them.",
    "receive_over_errors": "Packets received that were longer than the buffer.",
    "receive_packets": "Packets received.",
    "transmit_aborted_errors": "Packets given up while sending.",
    "transmit_bytes": "Bytes sent.",
    "transmit_carrier": "Packets not sent for want of a carrier, time or answer.",
    "transmit_carrier_errors": "Packets not sent for want of a carrier.",
    "transmit_colls": "Collisions while sending.",
    "transmit_compressed": "Compressed packets sent.",
    "transmit_drop": "Packets dropped before they were sent.",
    "transmit_dropped": "Packets dropped before they were sent.",
    "transmit_errors": "Packets that could not be sent.",
    "transmit_errs": "Packets that could not be sent.",
    "transmit_fifo": "Packets that found the sending queue at fault.",
    "transmit_fifo_errors": "Packets that found the sending queue at fault.",
    "transmit_heartbeat_errors": "Packets after which the transceiver gave no sign of life.",
    "transmit_packets": "Packets sent.",
    "transmit_window_errors": "Packets sent so late that a collision went unseen.",
}

_FILE_COLUMNS = (
    "receive_bytes", "receive_packets", "receive_errors", "receive_dropped", "receive_fifo", "receive_frame",
    "receive_compressed", "receive_multicast", "transmit_bytes", "transmit_packets", "transmit_errors",
    "transmit_dropped", "transmit_fifo", "transmit_colls", "transmit_carrier", "transmit_compressed",
)  # fmt: skip

# the kernel's names as /proc/net/dev has them in its heading, and what it adds up there (net/core/net-procfs.c)
_HEADINGS = {
    "receive_errors": "receive_errs", "receive_dropped": "receive_drop", "receive_fifo_errors": "receive_fifo",
    "receive_frame_errors": "receive_frame", "multicast": "receive_multicast", "transmit_errors": "transmit_errs",
    "transmit_dropped": "transmit_drop", "transmit_fifo_errors": "transmit_fifo", "collisions": "transmit_colls",
    "transmit_carrier_errors": "transmit_carrier",
}  # fmt: skip
_ADDED = {
    "receive_missed_errors": "receive_drop",
    "receive_length_errors": "receive_frame",
    "receive_over_errors": "receive_frame",
    "receive_crc_errors": "receive_frame",
    "transmit_aborted_errors": "transmit_carrier",
    "transmit_heartbeat_errors": "transmit_carrier",
    "transmit_window_errors": "transmit_carrier",
}

_ADDRESS = Metric(
    "node_network_address_info", "gauge", "Always 1; an address of a network device.",
    ("device", "address", "netmask", "scope"),
)  # fmt: skip


def add_flags(parser: argparse._ActionsContainer) -> None:
    """Add the filter and the choices of what is read, spelled as in node_exporter."""
    flag = "--collector.netdev"
    add_filter_flags(parser, f"{flag}.device", "network devices")
    add_flag(
        parser, f"{flag}.address-info", action=argparse.BooleanOptionalAction,
        help="export the addresses of each device",
    )  # fmt: skip
    add_flag(
        parser, f"{flag}.enable-detailed-metrics", action=argparse.BooleanOptionalAction,
        help="export the kernel's counters by its names for them, without adding up any",
    )  # fmt: skip
    add_flag(
        parser, f"{flag}.label-ifalias", action=argparse.BooleanOptionalAction, help="add the device's alias as a label"
    )  # fmt: skip
    add_flag(
        parser, f"{flag}.netlink", action=argparse.BooleanOptionalAction, default=True,
        help="ask by netlink where procfs is this network namespace's own; else read net/dev",
    )  # fmt: skip


def create(settings: Settings) -> Callable[[], list[Family]]:
    """Return the function that reads the counters. Raise ValueError if the filters contradict."""
    flags = vars(settings.flags)
    devices = read_filter(flags, "--collector.netdev.device")
    is_own = is_own_namespace(settings.paths.procfs)
    is_detailed = bool(flags["collector.netdev.enable_detailed_metrics"])
    has_alias = bool(flags["collector.netdev.label_ifalias"])
    folder = settings.paths.sysfs / "class" / "net" if has_alias else None
    file = KeptFile(settings.paths.procfs / "net" / "dev")
    netlink = Netlink()
    sources = [_Source(lambda: parse_devices(file.read()), _FILE_COLUMNS, is_detailed, has_alias)]
    if is_own and flags["collector.netdev.netlink"]:
        sources.insert(0, _Source(LinkCounters(netlink).read, LINK_COUNTERS, is_detailed, has_alias))
    with_addresses = bool(flags["collector.netdev.address_info"]) and is_own

    def collect() -> list[Family]:
        families = _first_that_works(sources, devices.wants, folder)
        return [*families, _addresses(netlink)] if with_addresses else families

    return collect


class _Source:
    """One way to the counters, and the families that come of it."""

    def __init__(self, read: _Read, columns: tuple[str, ...], is_detailed: bool, has_alias: bool) -> None:
        self._read = read
        labels = ("device", "ifalias") if has_alias else ("device",)
        self._families = [
            (Metric(f"node_network_{key}_total", "counter", _TEXTS[key], labels), places)
            for key, places in sorted((_as_they_are(columns) if is_detailed else as_in_the_file(columns)).items())
        ]

    def collect(self, wants: Callable[[str], bool], folder: Path | None) -> list[Family]:
        """Given which devices are wanted and where their aliases are, return their counters."""
        rows = [(_labels(device, folder), counters) for device, counters in self._read().items() if wants(device)]
        families = []
        for metric, (place, *others) in self._families:
            if others:
                places = (place, *others)
                samples = [(labels, sum([counters[at] for at in places])) for labels, counters in rows]
            else:
                samples = [(labels, counters[place]) for labels, counters in rows]
            families.append(Family(metric, samples))
        return families


def _as_they_are(columns: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    return {column: (place,) for place, column in enumerate(columns)}


def as_in_the_file(columns: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Given the kernel's counters in order, return by heading of `/proc/net/dev` which of them it adds up there."""
    found: dict[str, tuple[int, ...]] = {}
    for place, column in enumerate(columns):
        key = _ADDED.get(column) or _HEADINGS.get(column, column)
        found[key] = (*found.get(key, ()), place)
    return found


def _labels(device: str, folder: Path | None) -> tuple[str, ...]:
    if folder is None:
        return (device,)
    try:
        return device, read_text(folder / device / "ifalias")
    except OSError:
        return device, ""


def _first_that_works(sources: list[_Source], wants: Callable[[str], bool], folder: Path | None) -> list[Family]:
    for source in sources[:-1]:
        try:
            return source.collect(wants, folder)
        except (OSError, ValueError):
            # netlink may be forbidden to us; the file has all but the packets without a handler
            continue
    return sources[-1].collect(wants, folder)


def _addresses(netlink: Netlink) -> Family:
    return _ADDRESS.of({(it.device, it.address, str(it.prefix), it.scope): 1 for it in read_addresses(netlink)})
