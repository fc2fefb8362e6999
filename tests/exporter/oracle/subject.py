"""A process with something to measure: `python subject.py oracle-subject=KIND FILE`; ends when its stdin does.

It rests, works while the file is there, and rests again, all its threads with it: what it used then no longer moves.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

_THREADS = {"alone": 0, "threads": 3}


def work(go_on: Path, scratch: Path) -> None:
    """Use the CPU, write, and step aside, while the file is there."""
    wait = threading.Event()
    while not go_on.exists():
        wait.wait(0.2)
    while go_on.exists():
        sum(range(20_000))
        with scratch.open("wb") as file:
            file.write(b"x" * 8192)
        wait.wait(0.002)
    if threading.current_thread() is not threading.main_thread():
        # a thread that ended would take what it used with it
        wait.wait()


def main() -> None:
    """Work as the arguments say, then wait for the end of stdin."""
    kind, go_on = sys.argv[1].partition("=")[2], Path(sys.argv[2])
    for number in range(_THREADS[kind]):
        scratch = go_on.with_name(f"{kind}-{number}.scratch")
        threading.Thread(target=work, args=(go_on, scratch), daemon=True).start()
    go_on.with_name(f"{kind}.ready").touch()
    if not _THREADS[kind]:
        work(go_on, go_on.with_name(f"{kind}.scratch"))
    sys.stdin.read()


if __name__ == "__main__":
    main()
