"""Asks by ICMP echo, through the kernel's ping socket where it is allowed and a raw socket else (RFC 792, RFC 4443)."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import sys

from exporter.probe.dial import Address, Dialer, timed
from exporter.probe.model import Deadline, Found, Icmp, ProbeError, Reason

_HEADER = struct.Struct("!BBHHH")
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
_PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
_TOKEN_BYTES = 8

_NOT_ALLOWED = (
    "this system lets this user send no ICMP; add the user's group to the range in net.ipv4.ping_group_range, "
    "or give the program CAP_NET_RAW"
)

_sequence = itertools.count(1)


def ask(wanted: Icmp, dialer: Dialer, found: Found, deadline: Deadline) -> None:
    """Send one echo request and wait for its reply. Raise ProbeError if none comes."""
    address = dialer.resolve(wanted.host, 0, found, deadline)[0]
    with timed("setup", found, deadline):
        sock, is_raw = _open(address)
    with sock:
        number = next(_sequence) & 0xFFFF
        # told from the replies to others by what it carries: a ping socket does not say which number it used
        token = os.urandom(_TOKEN_BYTES)
        packet = _packet(address.family, number, token + bytes(max(0, wanted.payload_size - _TOKEN_BYTES)))
        with timed("rtt", found, deadline):
            try:
                sock.sendto(packet, address.place)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise ProbeError(Reason.CONNECT, f"cannot send to {address.ip}: {reason}") from error
            found.facts["icmp_reply_hop_limit"] = _await_reply(sock, is_raw, address.family, token, deadline)


def _open(address: Address) -> tuple[socket.socket, bool]:
    protocol = _PROTOCOL[socket.AddressFamily(address.family)]
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            sock = socket.socket(address.family, kind, protocol)
        except PermissionError:
            continue
        except OSError as error:
            raise ProbeError(Reason.CONNECT, f"cannot ping {address.ip}: {error.strerror}") from error
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        return sock, kind == socket.SOCK_RAW
    raise ProbeError(Reason.PERMISSION, _NOT_ALLOWED)


# Linux's number; Python gives it no name
_IP_RECVTTL = 12


def _packet(family: int, number: int, payload: bytes) -> bytes:
    kind = _ECHO[socket.AddressFamily(family)][0]
    identity = os.getpid() & 0xFFFF
    unsummed = _HEADER.pack(kind, 0, 0, identity, number) + payload
    # of ICMPv6 the kernel makes the sum, for the addresses are part of it
    checksum = _checksum(unsummed) if family == socket.AF_INET else 0
    return _HEADER.pack(kind, 0, checksum, identity, number) + payload


def _checksum(data: bytes) -> int:
    """Return the one's complement of the one's complement sum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _await_reply(sock: socket.socket, is_raw: bool, family: int, token: bytes, deadline: Deadline) -> int:
    """Return how many hops the reply still had, once the one with our token has come."""
    wanted = _ECHO[socket.AddressFamily(family)][1]
    while True:
        sock.settimeout(deadline.left())
        try:
            data, ancillary, _, _ = sock.recvmsg(65_536, 64)
        except TimeoutError as error:
            raise ProbeError(Reason.TIMEOUT, "no echo in time") from error
        except OSError as error:
            raise ProbeError(Reason.CONNECT, f"no echo: {(error.strerror or str(error)).lower()}") from error
        if is_raw and family == socket.AF_INET and data:
            # a raw socket of IPv4 gives the packet with its own header, whose length stands in its first byte
            data = data[(data[0] & 0x0F) * 4 :]
        if data[:1] == bytes([wanted]) and data[_HEADER.size : _HEADER.size + _TOKEN_BYTES] == token:
            hops: list[int] = [int.from_bytes(part, sys.byteorder) for _, _, part in ancillary if len(part) == 4]
            return hops[0] if hops else 0
