"""The named command of the memory benchmark: `python memory_collect.py FOLDER` has every worker collect its garbage."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

SECONDS = 20.0


def tell(path: Path, line: str) -> str:
    """Send one line to the worker that listens at `path`; return its answer. Raise OSError if nobody does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        connection.connect(str(path))
        connection.sendall(f"{line}\n".encode())
        return connection.makefile().readline().strip()


def main() -> int:
    """Tell all of them; return 1 if nobody answered."""
    answers = []
    for path in sorted(Path(sys.argv[1]).glob("*.socket")):
        try:
            answers.append(tell(path, "collect"))
        except OSError as error:
            print(f"{path.name}: {error}")
    print(f"{answers.count('done')} workers have collected their garbage")
    return 0 if "done" in answers else 1


if __name__ == "__main__":
    sys.exit(main())
