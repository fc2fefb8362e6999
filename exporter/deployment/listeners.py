"""Which sockets of this host are listened on, from procfs; formats: proc(5) and the kernel's proc_net_tcp."""

from __future__ import annotations

import ipaddress
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from exporter.deployment.model import Finding, Listener, State
from exporter.procfs.kept import read_file

_TCP_LISTEN = b"0A"
# a UDP socket that waits for anybody is "closed" to the kernel; one that is connected answers only one other side
_UDP_OPEN = b"07"
_ACCEPTS = 0x10000

Bound = frozenset[tuple[str, int]]
"""Addresses and ports; the address is normal, `0.0.0.0` and `::` stand for all."""


def find_listener(procfs: Path, wanted: Listener) -> Finding:
    """Given a wanted socket, say whether it is listened on; not known if the tables cannot be read."""
    try:
        if wanted.protocol == "unix":
            there = wanted.path in parse_unix(read_file(procfs / "net/unix"))
        else:
            there = is_bound(_read_bound(procfs, wanted.protocol), wanted.address, wanted.port)
    except OSError as error:
        return Finding(None, f"the table of sockets cannot be read ({error.strerror})")
    except ValueError as error:
        return Finding(None, str(error))
    return Finding(State.HEALTHY, "is listened on") if there else Finding(State.UNAVAILABLE, "nobody listens")


def _read_bound(procfs: Path, protocol: str) -> Bound:
    state = _TCP_LISTEN if protocol == "tcp" else _UDP_OPEN
    bound = parse_bound(read_file(procfs / f"net/{protocol}"), state)
    try:
        return bound | parse_bound(read_file(procfs / f"net/{protocol}6"), state)
    except FileNotFoundError:
        # a kernel without IPv6
        return bound


def is_bound(bound: Bound, address: str | None, port: int) -> bool:
    """Given what is bound, say whether a call to this address (None: any) and port would be taken.

    `::` counts for IPv4 too: unless a program asks for IPv6 only, which procfs does not tell, it takes both.
    """
    if address is None:
        return any(port == there for _, there in bound)
    return any((each, port) in bound for each in (address, "::", *(("0.0.0.0",) if "." in address else ())))


def parse_bound(data: bytes, state: bytes) -> Bound:
    """Given a table such as `/proc/net/tcp6`, return the local ends in a state. Raise ValueError if it is no table."""
    lines = data.splitlines()
    if not lines or b"local_address" not in lines[0]:
        raise ValueError("the table of sockets has no head")
    return frozenset(_local(words[1]) for line in lines[1:] if len(words := line.split()) > 3 and words[3] == state)


def _local(word: bytes) -> tuple[str, int]:
    address, colon, port = word.partition(b":")
    if not colon or len(address) not in (8, 32):
        raise ValueError(f"the table of sockets holds {word.decode('ascii', 'replace')!r}, which is no address")
    # each 32 bits are printed as a number of the host's own byte order
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    packed = struct.pack(f"{'<' if sys.byteorder == 'little' else '>'}{len(words)}I", *words)
    found = ipaddress.ip_address(packed)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped), int(port, 16)
    return str(found), int(port, 16)


def parse_unix(data: bytes) -> frozenset[str]:
    """Given `/proc/net/unix`, return the paths of the sockets that are listened on. Raise ValueError if it is none."""
    lines = data.splitlines()
    if not lines or not lines[0].startswith(b"Num"):
        raise ValueError("the table of sockets has no head")
    return frozenset(_listening(lines[1:]))


def _listening(lines: Iterable[bytes]) -> Iterable[str]:
    for line in lines:
        # the path is last and may hold blanks
        words = line.split(None, 7)
        if len(words) == 8 and int(words[3], 16) & _ACCEPTS:
            yield words[7].decode("utf-8", "surrogateescape")
