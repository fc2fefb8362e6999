"""A worker with memory that is known: `python memory_worker.py SOCKET MARKER`. A program of its own, never imported.

One line on its socket tells it what to do: `garbage BYTES` (dead, but in cycles that nobody collects), `leak BYTES`
(held for ever), `collect`. It answers `done` and waits for the next one, idle. It ends when who started it is gone.
"""

from __future__ import annotations

import gc
import os
import socket
import sys

PART = 1024 * 1024


class Cycle:
    """Holds itself, and so what it holds too, until garbage is collected."""

    def __init__(self, held: bytes) -> None:
        self.held = held
        self.itself = self


def main() -> None:
    """Serve one line per connection, as long as there is whoever started it."""
    parent = os.getppid()
    gc.disable()
    leaked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        listener.settimeout(1.0)
        while os.getppid() == parent:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                word, *rest = connection.makefile().readline().split()
                amount = int(rest[0]) if rest else 0
                if word == "garbage":
                    for _ in range(amount // PART):
                        Cycle(b"x" * PART)
                elif word == "leak":
                    leaked.extend(b"x" * PART for _ in range(amount // PART))
                else:
                    gc.collect()
                connection.sendall(b"done\n")


if __name__ == "__main__":
    main()
