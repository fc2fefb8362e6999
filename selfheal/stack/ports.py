"""Choose free ports on loopback: the wanted one where it is free, another one otherwise."""

from __future__ import annotations

import socket
from collections.abc import Mapping


def choose(wanted: Mapping[str, int]) -> dict[str, int]:
    """Given program → wanted port, return program → a port that nobody listens on now, no port twice."""
    chosen: dict[str, int] = {}
    for program, port in wanted.items():
        free = port not in chosen.values() and _is_free(port)
        chosen[program] = port if free else _any_free(set(chosen.values()) | set(wanted.values()))
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # as the programs bind: a connection still in TIME_WAIT is no reason to move, a listener is
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
        return True


def _any_free(taken: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
