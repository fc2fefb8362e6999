"""A job that reports by a file, `job KIND`: every second, unless a lock of another stands in its way.

After SIGUSR1 it reports no more.
"""

import signal
import sys
import time
from pathlib import Path

LOCK = Path("/srv/app/locks/job.lock")
BEATS = Path("/srv/app/beats")


def hang(_number: int, _frame: object) -> None:
    """Do nothing any more."""
    while True:
        time.sleep(60)


def main() -> None:
    """Report, and report again."""
    kind = sys.argv[1]
    signal.signal(signal.SIGUSR1, hang)
    beat, written = BEATS / kind, BEATS / f".{kind}"
    while True:
        # its exit code, as a crontab would write it
        written.write_text("1\n" if kind == "locked" and LOCK.exists() else "0\n", "utf-8")
        written.replace(beat)
        time.sleep(1)


if __name__ == "__main__":
    main()
