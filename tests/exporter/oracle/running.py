"""The exporters as real processes on loopback, started and ended here, and asked for pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from tests.exporter.oracle.pages import Page, parse
from tests.stack.support import wait_until
from tests.tools import oracle

_LISTENING = re.compile(r'(?i)msg="?listening(?: on)?"?.* address=(?:http://)?127\.0\.0\.1:(\d+)')


class Exporter:
    """One running exporter, asked through one kept connection: a new one for each page would change what it tells."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, *collectors: str) -> Page:
        """Return the page, of these collectors only if any are given."""
        return parse(self.text(*collectors))

    def text(self, *collectors: str) -> str:
        """Return the page as it came."""
        query = urlencode([("collect[]", name) for name in collectors])
        self._connection.request("GET", f"/metrics?{query}" if query else "/metrics")
        answer = self._connection.getresponse()
        body = answer.read().decode()
        assert answer.status == 200, f"{answer.status}: {body}"
        return body

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@contextmanager
def running(command: Sequence[str | Path]) -> Iterator[Exporter]:
    """Start a program that says in its log where it listens; end it by its id."""
    with TemporaryDirectory(prefix="selfheal-oracle-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen([str(word) for word in command], stdout=sink, stderr=sink)
        try:
            wait_until(lambda: _LISTENING.search(log.read_text()) or process.poll() is not None)
            found = _LISTENING.search(log.read_text())
            assert found, f"{command[0]} does not listen: {log.read_text()}"
            with closing(Exporter(int(found[1]))) as exporter:
                yield exporter
        finally:
            process.kill()
            process.wait()


def node_exporter(version: str, *flags: str) -> list[str | Path]:
    """Return the command of node_exporter in that version."""
    return [oracle("node_exporter", version), "--web.listen-address=127.0.0.1:0", *flags]


def process_exporter(version: str, *flags: str) -> list[str | Path]:
    """Return the command of process-exporter in that version."""
    return [oracle("process-exporter", version), "-web.listen-address=127.0.0.1:0", *flags]


def ours(*flags: str) -> list[str | Path]:
    """Return the command of our exporter."""
    return [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", *flags]
