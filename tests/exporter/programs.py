"""The exporter as a real process: started, waited for, asked, and ended by its id."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.exporter.trees import wait_until

TOP = Path(__file__).parents[2]

# as either form of log line has it
LISTENING = re.compile(r'msg(=|": ")listening\b')


def clean_environment() -> dict[str, str]:
    """Return our environment without what the exporter would read."""
    mine = ("SELFHEAL_", "LISTEN_", "NOTIFY_", "WATCHDOG_")
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)}


def start(
    *flags: str,
    imports: bool = False,
    variables: Mapping[str, str] | None = None,
    through: Sequence[str] = (),
    **options: object,
) -> subprocess.Popen[str]:
    """Start the exporter, through another program if that is given, and on a free port unless the flags say more."""
    argv = [*through, sys.executable, "-W", "error", *(["-X", "importtime"] if imports else []), "-m", "exporter"]
    if not any("listen-address" in flag or "systemd" in flag for flag in flags):
        flags = ("--web.listen-address=127.0.0.1:0", *flags)
    environment = clean_environment() | dict(variables or {})
    return subprocess.Popen([*argv, *flags], cwd=TOP, stderr=subprocess.PIPE, text=True, env=environment, **options)  # type: ignore[call-overload, no-any-return]


@dataclass
class Running:
    """A running exporter and the lines of its log so far."""

    child: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The port that it says it listens on."""
        found = re.search(r"127\.0\.0\.1:(\d+)", next(line for line in self.lines if LISTENING.search(line)))
        assert found, self.lines
        return int(found[1])

    def logged(self, text: str) -> bool:
        """Say whether a line of the log holds a text."""
        return any(text in line for line in list(self.lines))

    def read_log(self) -> None:
        """Keep the log's lines until it ends."""
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.lines.append(line)


@contextmanager
def running(*flags: str, **options: object) -> Iterator[Running]:
    """Start the exporter, wait until it listens, and end it."""
    child = start(*flags, **options)  # type: ignore[arg-type]
    program = Running(child)
    reader = threading.Thread(target=program.read_log)
    reader.start()
    try:
        wait_until(lambda: child.poll() is not None or any(LISTENING.search(line) for line in list(program.lines)))
        assert child.poll() is None, program.lines
        yield program
    finally:
        child.kill()
        child.wait()
        reader.join()
        assert child.stderr is not None
        child.stderr.close()


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Read one page."""
    return ask(port, path, headers)[1]


def ask(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Read one page and its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
