"""Opens the sockets that the server listens on, or takes those that systemd has opened already."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, MutableMapping, Sequence

from exporter.addresses import EVERYWHERE, Address, format_address, is_loopback

# where the sockets that systemd hands over begin: sd_listen_fds(3)
_FIRST_DESCRIPTOR = 3


class CannotListenError(Exception):
    """An address cannot be listened on; the message says what to change."""


def open_listeners(addresses: Sequence[Address]) -> list[socket.socket]:
    """Given addresses, return a listening socket for each. Raise CannotListenError with all that cannot be had."""
    listeners: list[socket.socket] = []
    problems: list[str] = []
    for address in addresses:
        try:
            # those of IPv4 may have been asked for besides
            listeners.append(_open_listener(address, alone=("0.0.0.0", address[1]) not in addresses))
        except OSError as error:
            problems.append(_why_not(address, error))
    if problems:
        for listener in listeners:
            listener.close()
        raise CannotListenError("\n".join(problems))
    return listeners


def _open_listener(address: Address, alone: bool) -> socket.socket:
    host, port = address
    if host == EVERYWHERE and alone:
        if not socket.has_dualstack_ipv6():
            # without IPv6 every address is one of IPv4
            return socket.create_server(("0.0.0.0", port), backlog=128)
        return socket.create_server(address, family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(address, family=family, backlog=128)


def _why_not(address: Address, error: OSError) -> str:
    where = format_address(address)
    if error.errno == errno.EADDRINUSE:
        return (
            f"cannot listen on {where}: another program is using this port; "
            "end that program, or choose another address with --web.listen-address"
        )
    return f"cannot listen on {where}: {error.strerror or error}; choose another address with --web.listen-address"


def take_listeners(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Given the environment, return the sockets that systemd listens on for us, and remove what said so.

    Raise CannotListenError if there are none: the program was not started by a socket unit.
    """
    count = _handed_over(environment)
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environment.pop(name, None)
    listeners: list[socket.socket] = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + count):
        # a collector's programs are none of its business
        os.set_inheritable(descriptor, False)
        listener = socket.socket(fileno=descriptor)
        if listener.type != socket.SOCK_STREAM or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise CannotListenError(
                f"--web.systemd-socket: descriptor {descriptor} is no listening stream socket; "
                "use ListenStream= without Accept=yes in the socket unit"
            )
        listeners.append(listener)
    if not listeners:
        raise CannotListenError(
            "--web.systemd-socket: systemd handed over no socket; "
            "start this through a socket unit, or use --web.listen-address instead"
        )
    return listeners


def _handed_over(environment: Mapping[str, str]) -> int:
    count = environment.get("LISTEN_FDS", "")
    # a process in between may have passed on what was meant for it
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return 0
    return int(count)


def describe(listener: socket.socket) -> str:
    """Given a listening socket, return its address as a person writes it."""
    name = listener.getsockname()
    return format_address(name[:2]) if isinstance(name, tuple) else f"unix:{name}"


def others_can_reach(listener: socket.socket) -> bool:
    """Given a listening socket, say whether more than this machine can reach it."""
    name = listener.getsockname()
    # who may use a socket in the file system is said by its mode
    return isinstance(name, tuple) and not is_loopback(name[0])
