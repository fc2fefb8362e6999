"""The TCP connections of this process's network namespace, as netlink lists them. Format: sock_diag(7)."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from typing import NamedTuple

from exporter.procfs.net_socket import Netlink, read_from

NETLINK_SOCK_DIAG = 4

STATES = {
    1: "established", 2: "syn_sent", 3: "syn_recv", 4: "fin_wait1", 5: "fin_wait2", 6: "time_wait", 7: "close",
    8: "close_wait", 9: "last_ack", 10: "listen", 11: "closing",
}  # fmt: skip
"""The kernel's numbers for the states of a connection."""

_BY_FAMILY = 20
_ALL_STATES = 0xFFF
_REQUEST = struct.Struct("=BBxxI48x")
_SOCKET = struct.Struct("=xBxx48xIII")


class Connections(NamedTuple):
    """How many connections are in each state, and the bytes that wait in all of them."""

    states: Counter[str]
    received: int
    to_send: int


def count_connections(netlink: Netlink) -> Connections:
    """Return the connections by IPv4 and IPv6 together. Raise OSError or ValueError if the kernel does not tell."""
    states: Counter[int] = Counter()
    received = to_send = 0
    for family in (socket.AF_INET, socket.AF_INET6):
        question = _REQUEST.pack(family, socket.IPPROTO_TCP, _ALL_STATES)
        for data, begin, _ in netlink.dump(_BY_FAMILY, question):
            state, _, arrived, waiting = read_from(_SOCKET, data, begin)
            states[state] += 1
            received += arrived
            to_send += waiting
    return Connections(
        Counter({STATES.get(state, "unknown"): count for state, count in states.items()}), received, to_send
    )
