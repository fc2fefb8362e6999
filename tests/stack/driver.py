"""A supervising program for the tests: `python driver.py FOLDER PROGRAMS`, events as JSON lines on stdout.

PROGRAMS is JSON: name → the Python code it runs; a program is ready when `FOLDER/<name>.ready` exists.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from selfheal.common.clock import SystemClock
from selfheal.stack.signals import Signals
from selfheal.stack.supervise import Program, StartFailed, Supervisor


def main() -> None:
    """Supervise until asked to stop."""
    folder = Path(sys.argv[1])
    # the tests may themselves run under nohup, whose ignored SIGHUP is inherited and respected
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    programs = tuple(_program(folder, name, code) for name, code in json.loads(sys.argv[2]).items())
    with Signals() as signals:
        supervisor = Supervisor(programs, SystemClock())
        try:
            for event in supervisor.start():
                _tell(event)
            while not signals.stops:
                for event in supervisor.turn():
                    _tell(event)
                signals.wait(0.05)
        except StartFailed as error:
            print(json.dumps({"event": "StartFailed", "program": error.program, "tail": error.tail()}), flush=True)
        finally:
            supervisor.stop(lambda: signals.stops > 1, signals.wait)
            print(json.dumps({"event": "Nothing"}), flush=True)


def _program(folder: Path, name: str, code: str) -> Program:
    ready = folder / f"{name}.ready"
    return Program(name, (sys.executable, "-c", code), folder / f"{name}.log", ready.exists, f"http://{name}")


def _tell(event: object) -> None:
    fields = asdict(event)  # type: ignore[call-overload]
    print(json.dumps({"event": type(event).__name__, **fields}, default=str), flush=True)


if __name__ == "__main__":
    main()
