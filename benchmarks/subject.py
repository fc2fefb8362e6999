"""`python -m benchmarks.subject`: the remediator with a countable test action and, when asked, a kill at a named point.

The shipped program has no such switch; here it is put in from outside, through what `App` takes as arguments.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from benchmarks import ledger
from benchmarks.subject_files import KNOWN
from remediator.app import App, run
from remediator.reading import Read, read_apart
from selfheal.common.logs import set_up_logging


class KillAt:
    """Kills this very process, as kill -9 does, when a point is reached for the n-th time."""

    def __init__(self, point: str, count: int) -> None:
        self._point, self._left = point, count
        self._lock = threading.Lock()

    def __call__(self, point: str) -> None:
        """Be told that `point` was reached."""
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config.file", dest="config", type=Path, required=True)
    parser.add_argument("--web.listen-address", dest="address", required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--kill-at", help="POINT:COUNT")
    parser.add_argument("--log.level", dest="level", default="warn")
    given = parser.parse_args()
    set_up_logging(given.level)
    ledger.file = given.ledger
    point, _, count = (given.kill_at or "nowhere:0").partition(":")

    def build(_: Read) -> App:
        return App(
            lambda: read_apart(given.config, given.address, "benchmarks.subject_files"),
            actions=KNOWN,
            reached=KillAt(point, int(count)),
        )

    return run(given.config, given.address, build)


if __name__ == "__main__":
    sys.exit(main())
