"""Where to listen: addresses as they are written, and whether others can reach them."""

from __future__ import annotations

import ipaddress
import socket

Address = tuple[str, int]

EVERYWHERE = "::"
"""The host that stands for every address of this machine; `0.0.0.0` is those of IPv4 only."""


def parse_address(text: str) -> Address:
    """Given `host:port`, `[v6]:port` or `:port`, return host and port. Raise ValueError if it is none.

    Without a host it is every address, of either family: `::`.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("write HOST:PORT with a port from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("write an IPv6 address in brackets: [::1]:9976")
    return host or EVERYWHERE, int(port)


def format_address(address: Address) -> str:
    """Given host and port, return them as `parse_address` reads them."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Given a host, say whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return _resolves_to_loopback(host)


def _resolves_to_loopback(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        # it cannot be listened on either, and that error names it better
        return True
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)
