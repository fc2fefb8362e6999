"""What rtnetlink says of this process's network namespace: the counters, addresses and neighbours of its devices.

Formats: rtnetlink(7), linux/if_link.h, linux/if_addr.h, linux/neighbour.h. All numbers are in the host's byte order.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections import Counter
from typing import NamedTuple

from exporter.procfs.net_socket import Netlink, attributes, read_from

LINK_COUNTERS = (
    "receive_packets", "transmit_packets", "receive_bytes", "transmit_bytes", "receive_errors", "transmit_errors",
    "receive_dropped", "transmit_dropped", "multicast", "collisions", "receive_length_errors", "receive_over_errors",
    "receive_crc_errors", "receive_frame_errors", "receive_fifo_errors", "receive_missed_errors",
    "transmit_aborted_errors", "transmit_carrier_errors", "transmit_fifo_errors", "transmit_heartbeat_errors",
    "transmit_window_errors", "receive_compressed", "transmit_compressed", "receive_nohandler",
)  # fmt: skip
"""The counters of `struct rtnl_link_stats64` in its order; Linux before 4.6 has none of the last."""

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_COUNTERS = struct.Struct(f"={len(LINK_COUNTERS)}Q")
_OLD_COUNTERS = struct.Struct(f"={len(LINK_COUNTERS) - 1}Q")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")

_GET_LINK, _GET_ADDRESS, _GET_NEIGHBOUR = 18, 22, 30
_LINK_ADDRESS, _LINK_NAME, _LINK_SHORT_COUNTERS, _LINK_COUNTERS = 1, 3, 7, 23
_ATTRIBUTE_HEADER = struct.Struct("=HH")
# leaves out the counters of each protocol, which nobody here reads
_WITHOUT_PROTOCOLS = struct.pack("=HHI", 8, 29, 8)
_ADDRESS_PEER, _ADDRESS_LOCAL = 1, 2
_WITHOUT_ARP = 0x40


class Address(NamedTuple):
    """An address of a device; `scope` is how far it reaches, in node_exporter's words."""

    device: str
    address: str
    prefix: int
    scope: str


class LinkCounters:
    """Reads the counters of all devices in one dump, looking for them anew only where a message has changed."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._known: dict[int, tuple[bytes, str, int]] = {}

    def read(self) -> dict[str, tuple[int, ...]]:
        """Return the counters of each device in the order of LINK_COUNTERS. Raise OSError or ValueError if it fails."""
        known: dict[int, tuple[bytes, str, int]] = {}
        found: dict[str, tuple[int, ...]] = {}
        for data, begin, end in self._netlink.dump(_GET_LINK, bytes(_LINK.size)):
            index = read_from(_LINK, data, begin)[2]
            before, device, offset = self._known.get(index, (b"", "", 0))
            # the counters stand behind the name and the rest of what is known: if that is the same, so is their place
            if not before or data[begin : begin + offset] != before:
                device, offset = _find_counters(data, begin, end)
                before = data[begin : begin + offset]
            if offset:
                known[index] = before, device, offset
                found[device] = _counters(data, begin + offset, end)
        self._known = known
        return found


class LinkStates:
    """Reads what is told of all devices besides their counters: the same bytes while nothing of it has changed."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._known: dict[int, tuple[bytes, int]] = {}

    def read(self) -> dict[int, bytes]:
        """Return the bytes of each device by its number. Raise OSError or ValueError if that fails."""
        known: dict[int, tuple[bytes, int]] = {}
        found: dict[int, bytes] = {}
        for data, begin, end in self._netlink.dump(_GET_LINK, bytes(_LINK.size) + _WITHOUT_PROTOCOLS):
            index = read_from(_LINK, data, begin)[2]
            before, offset = self._known.get(index, (b"", 0))
            if not before or data[begin : begin + offset] != before:
                offset = _find_counters(data, begin, end)[1]
                before = data[begin : begin + offset]
            known[index] = before, offset
            found[index] = before + data[_behind_counters(data, begin + offset, end) if offset else begin : end]
        self._known = known
        return found


def _behind_counters(data: bytes, begin: int, end: int) -> int:
    length, _ = read_from(_ATTRIBUTE_HEADER, data, begin - _ATTRIBUTE_HEADER.size)
    behind = begin - _ATTRIBUTE_HEADER.size + ((length + 3) & ~3)
    if behind + _ATTRIBUTE_HEADER.size <= end:
        length, kind = _ATTRIBUTE_HEADER.unpack_from(data, behind)
        # the same counters follow in 32 bits
        if kind == _LINK_SHORT_COUNTERS:
            behind += (length + 3) & ~3
    return behind


def _find_counters(data: bytes, begin: int, end: int) -> tuple[str, int]:
    device = ""
    for kind, value, value_end in attributes(data, begin + _LINK.size, end):
        if kind == _LINK_NAME:
            device = data[value:value_end].rstrip(b"\0").decode("utf-8", "replace")
        elif kind == _LINK_COUNTERS and value_end - value >= _OLD_COUNTERS.size:
            return device, value - begin
    return device, 0


def _counters(data: bytes, begin: int, end: int) -> tuple[int, ...]:
    length = _ATTRIBUTE_HEADER.unpack_from(data, begin - _ATTRIBUTE_HEADER.size)[0] - _ATTRIBUTE_HEADER.size
    if begin + length > end:
        raise ValueError("the counters of a device are not whole")
    if length < _COUNTERS.size:
        return (*_OLD_COUNTERS.unpack_from(data, begin), 0)
    return _COUNTERS.unpack_from(data, begin)


def is_about(message: bytes, name: bytes, address: bytes) -> bool:
    """Say whether what was told of a device names this one, and its hardware address if it has one."""
    told = [(_LINK_NAME, name + b"\0")] + [(_LINK_ADDRESS, address)] * bool(address)
    return all(
        _ATTRIBUTE_HEADER.pack(_ATTRIBUTE_HEADER.size + len(value), kind) + value in message for kind, value in told
    )


def read_addresses(netlink: Netlink) -> list[Address]:
    """Return the addresses of all devices. Raise OSError or ValueError if that fails."""
    found = []
    for data, begin, end in netlink.dump(_GET_ADDRESS, bytes(_ADDRESS.size)):
        _, prefix, _, _, index = read_from(_ADDRESS, data, begin)
        values = {kind: data[at:until] for kind, at, until in attributes(data, begin + _ADDRESS.size, end)}
        # of a point-to-point link the first is the other end
        raw = values.get(_ADDRESS_LOCAL) or values.get(_ADDRESS_PEER)
        device = _name(index)
        if device and raw is not None and len(raw) in (4, 16):
            address = ipaddress.ip_address(raw)
            found.append(Address(device, str(address), prefix, _scope(address)))
    return found


def count_neighbours(netlink: Netlink) -> Counter[str]:
    """Return how many neighbours by IPv4 each device has, those that need no ARP left out.

    Raise OSError or ValueError if that fails.
    """
    found: Counter[int] = Counter()
    question = _NEIGHBOUR.pack(socket.AF_INET, 0, 0, 0, 0)
    for data, begin, _ in netlink.dump(_GET_NEIGHBOUR, question):
        family, index, state, *_ = read_from(_NEIGHBOUR, data, begin)
        if family == socket.AF_INET and not state & _WITHOUT_ARP:
            found[index] += 1
    return Counter({device: count for index, count in found.items() if (device := _name(index))})


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        # it has gone since
        return ""


def _scope(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if address.is_loopback or address.is_link_local:
        return "link-local"
    return "" if address.is_multicast or address.is_unspecified else "global"
