"""A real Prometheus that serves one incident, and what a Grafana would ask of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import urllib3

from benchmarks.rig import free_port
from tests.grafana.incident import page
from tests.tools import tool

Series = dict[str, Any]


@dataclass(frozen=True)
class Prometheus:
    """Where it listens."""

    address: str

    def range(self, expression: str, start: int, end: int, step: int) -> list[Series]:
        """Return the series of a query over time."""
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def instant(self, expression: str, time: int) -> list[Series]:
        """Return the series of a query at one moment."""
        return self._ask("query", query=expression, time=time)

    def label_values(self, selector: str, label: str, start: int, end: int) -> list[str]:
        """Return the values of a label, as a variable of a dashboard asks for them."""
        parameters = {"match[]": selector, "start": str(start), "end": str(end)}
        answer = urllib3.request(
            "GET", f"{self.address}/api/v1/label/{label}/values", fields=parameters, timeout=10
        ).json()
        assert answer["status"] == "success", answer
        return list(answer["data"])

    def _ask(self, path: str, **parameters: str | int) -> list[Series]:
        body = urlencode(parameters).encode()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = urllib3.request("POST", f"{self.address}/api/v1/{path}", body=body, headers=form, timeout=10).json()
        assert answer["status"] == "success", f"{parameters['query']}: {answer}"
        assert not answer.get("warnings"), answer
        return list(answer["data"]["result"])


@contextmanager
def serving(folder: Path, scrape: int) -> Iterator[Prometheus]:
    """Fill a database with the incident as scraped every `scrape` seconds and serve it until the end of the block."""
    samples = folder / "incident.txt"
    samples.write_text(page(scrape), "utf-8")
    filler = tool("promtool")
    command = [filler.path, "tsdb", "create-blocks-from", "openmetrics", "--quiet", samples, folder / "data"]
    subprocess.run(list(map(str, command)), cwd=filler.folder, check=True, capture_output=True, timeout=50)
    config = folder / "prometheus.yml"
    config.write_text("scrape_configs: []\n", "utf-8")
    program = tool("prometheus")
    port = free_port()
    command = [
        program.path,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(list(map(str, command)), cwd=program.folder, stdout=output, stderr=output)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + 30
    while monotonic() < deadline:
        assert process.poll() is None, log.read_text("utf-8")
        try:
            if urllib3.request("GET", f"{address}/-/ready", timeout=2, retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass  # not listening yet
        Event().wait(0.05)
    raise AssertionError(f"Prometheus is not ready: {log.read_text('utf-8')}")
