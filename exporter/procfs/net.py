"""The tables of `/proc/net` with a line per device, CPU, neighbour or socket. Formats: proc(5)."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

DEVICE_COUNTERS = 16

# softnet_stat has grown twice: a table of Linux 2.6 has nine columns, one of 4.17 eleven, one of 5.10 thirteen
_SOFTNET_COLLISIONS, _SOFTNET_STEERED, _SOFTNET_LIMITED, _SOFTNET_BACKLOG, _SOFTNET_CPU = 8, 9, 10, 11, 12

_CONNTRACK_COLUMNS = (16, 17)


class Softnet(NamedTuple):
    """What one CPU did with packets that arrived; `steered` are wake-ups by receive packet steering."""

    cpu: int
    processed: int
    dropped: int
    squeezed: int
    collisions: int
    steered: int
    limited: int
    backlog: int


class Conntrack(NamedTuple):
    """What connection tracking did since boot, all CPUs together."""

    found: int
    invalid: int
    ignore: int
    insert: int
    insert_failed: int
    drop: int
    early_drop: int
    search_restart: int


class Queues(NamedTuple):
    """Bytes that wait in all sockets of a table together."""

    transmit: int
    receive: int


def is_own_namespace(procfs: Path) -> bool:
    """Say whether `procfs` is the kernel's and `procfs/net` therefore this process's own network namespace.

    `net` leads to `self/net` wherever procfs is mounted, so what netlink says is then what those files say. A written
    tree cannot hold a link to a namespace.
    """
    link = procfs / "self" / "ns" / "net"
    try:
        return os.readlink(link) == f"net:[{os.stat(link).st_ino}]"  # noqa: PTH115, PTH116 - no path
    except OSError:
        return False


def parse_devices(data: bytes) -> dict[str, tuple[int, ...]]:
    """Given the bytes of `/proc/net/dev`, return the 16 counters of each device, received ones first.

    Raise ValueError if a line is broken.
    """
    devices: dict[str, tuple[int, ...]] = {}
    for line in data.splitlines()[2:]:
        name, colon, rest = line.rpartition(b":")
        counters = tuple(map(int, rest.split())) if colon else ()
        if len(counters) < DEVICE_COUNTERS:
            raise ValueError(f"not a line of net/dev: {line!r}")
        devices[name.strip().decode("utf-8", "replace")] = counters
    return devices


def parse_softnet(data: bytes) -> list[Softnet]:
    """Given the bytes of `/proc/net/softnet_stat`, return a value per line.

    Raise ValueError if there is none or one is broken. Tables without the CPU's number list all CPUs in order.
    """
    found = []
    for number, line in enumerate(data.splitlines()):
        words = [int(word, 16) for word in line.split()]
        width = len(words)
        if width <= _SOFTNET_COLLISIONS:
            raise ValueError(f"a line of softnet_stat has {width} columns, at least {_SOFTNET_COLLISIONS + 1} expected")
        numbered = width > _SOFTNET_CPU
        found.append(
            Softnet(
                words[_SOFTNET_CPU] if numbered else number,
                words[0],
                words[1],
                words[2],
                words[_SOFTNET_COLLISIONS],
                words[_SOFTNET_STEERED] if width > _SOFTNET_STEERED else 0,
                words[_SOFTNET_LIMITED] if width > _SOFTNET_LIMITED else 0,
                words[_SOFTNET_BACKLOG] if numbered else 0,
            )
        )
    return found


def count_neighbours(data: bytes) -> Counter[str]:
    """Given the bytes of `/proc/net/arp`, return how many entries each device has. Raise ValueError if broken."""
    found: Counter[str] = Counter()
    for line in data.splitlines()[1:]:
        words = line.split()
        if len(words) != 6:
            raise ValueError(f"not a line of net/arp: {line!r}")
        found[words[5].decode("utf-8", "replace")] += 1
    return found


def sum_conntrack(data: bytes) -> Conntrack:
    """Given the bytes of `/proc/net/stat/nf_conntrack`, return the sums over all CPUs. Raise ValueError if broken."""
    sums = [0] * max(_CONNTRACK_COLUMNS)
    for line in data.splitlines()[1:]:
        words = [int(word, 16) for word in line.split()]
        if len(words) not in _CONNTRACK_COLUMNS:
            raise ValueError(f"a line of nf_conntrack has {len(words)} columns, 16 or 17 expected")
        for column, value in enumerate(words):
            sums[column] += value
    return Conntrack(sums[2], sums[4], sums[5], sums[8], sums[9], sums[10], sums[11], sums[16])


def sum_queues(data: bytes) -> Queues:
    """Given the bytes of `/proc/net/udp` or `udp6`, return what waits in its sockets. Raise ValueError if broken."""
    transmit = receive = 0
    for line in data.splitlines()[1:]:
        words = line.split(None, 5)
        if len(words) < 6:
            raise ValueError(f"not a line of a socket: {line!r}")
        waiting, colon, arrived = words[4].partition(b":")
        if not colon:
            raise ValueError(f"no queues in the line of a socket: {line!r}")
        transmit += int(waiting, 16)
        receive += int(arrived, 16)
    return Queues(transmit, receive)
