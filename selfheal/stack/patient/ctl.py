"""The short commands of the patient's web service: `python -m selfheal.stack.patient.ctl FOLDER start|stop|status`.

They ask the patient's parent and end; nobody daemonises. Exit code 0 done or running, 3 not running, 1 anything else.
"""

from __future__ import annotations

import sys
from pathlib import Path

from selfheal.stack.patient.control import Refused, ask

_NOT_RUNNING = 3  # as systemctl and the LSB have it


def main() -> int:
    """Pass the request on and print the answer."""
    if len(sys.argv) != 3 or sys.argv[2] not in ("start", "stop", "status"):
        sys.stderr.write("usage: python -m selfheal.stack.patient.ctl FOLDER start|stop|status\n")
        return 2
    try:
        answer = ask(Path(sys.argv[1]), sys.argv[2])
    except Refused as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{answer}\n")
    return _NOT_RUNNING if sys.argv[2] == "status" and answer == "not running" else 0


if __name__ == "__main__":
    sys.exit(main())
