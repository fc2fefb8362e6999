"""Targets whose figures a test sets while a real Prometheus scrapes them, that Prometheus, and an Alertmanager."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.rig import free_port
from remediator.client import Client
from remediator.errors import SourceUnavailable
from remediator.evidence.prometheus import Prometheus
from tests.stack.support import http_status, wait_until
from tests.tools import tool


@dataclass
class Line:
    """A figure that changes by `slope` a second."""

    value: float
    slope: float = 0.0
    since: float = field(default_factory=time.monotonic)

    def now(self) -> float:
        """Return its present value."""
        return self.value + self.slope * (time.monotonic() - self.since)


class Clinic:
    """A page of figures per patient; a patient that is down answers 500."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[str, dict[str, Line]] = {}
        self._down: set[str] = set()
        clinic = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = clinic.page(self.path.removeprefix("/t/"))
                self.send_response(500 if body is None else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def page(self, patient: str) -> bytes | None:
        """Return what a scrape of the patient gets now."""
        with self._lock:
            if patient in self._down or patient not in self._pages:
                return None
            lines = [f"{series} {line.now():.6f}\n" for series, line in self._pages[patient].items()]
        return "".join(lines).encode()

    def put(self, patient: str, changes: Mapping[str, float | tuple[float | None, float] | None]) -> None:
        """Set figures: a number; (value or None for the present one, change per second); None takes the series away."""
        with self._lock:
            page = self._pages.setdefault(patient, {})
            for series, change in changes.items():
                if change is None:
                    page.pop(series, None)
                elif isinstance(change, tuple):
                    value, slope = change
                    page[series] = Line(page[series].now() if value is None else value, slope)
                else:
                    page[series] = Line(change)

    def down(self, patient: str, down: bool = True) -> None:
        """Make the patient's target fail, or answer again."""
        with self._lock:
            self._pages.setdefault(patient, {})
            (self._down.add if down else self._down.discard)(patient)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Scraped:
    """A running Prometheus and where it keeps its targets."""

    url: str
    client: Client
    prometheus: Prometheus
    targets: Path
    command: list[str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self.targets.with_name("prometheus.log")
        with log.open("wb") as output:
            process = subprocess.Popen(self.command, cwd=self.folder, stdout=output, stderr=output)
        self.process = process
        wait_until(lambda: _answers(self.client, process, log), 20)

    def stop(self) -> None:
        """End it; it leaves no staleness markers behind."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def scrape(self, clinic: Clinic, patients: Mapping[str, Mapping[str, str]]) -> None:
        """Write the targets: patient → its target labels. Prometheus notices by itself."""
        groups = [
            {"targets": [clinic.address], "labels": {"instance": name, "__metrics_path__": f"/t/{name}", **labels}}
            for name, labels in patients.items()
        ]
        beside = self.targets.with_suffix(".new")
        beside.write_text(json.dumps(groups), "utf-8")
        beside.replace(self.targets)


@contextmanager
def scraping(folder: Path, rules: str, config: str = "") -> Iterator[Scraped]:
    """Run Prometheus on these rules, scraping and evaluating every second, until the end of the block.

    `config` is appended to its configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(rules, "utf-8")
    targets = folder / "targets.json"
    targets.write_text("[]", "utf-8")
    head = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s"
    labels = ", external_labels: {replica: one, site: test}}\n"
    jobs = f"scrape_configs: [{{job_name: t, file_sd_configs: [{{files: ['{targets}'], refresh_interval: 1s}}]}}]\n"
    (folder / "prometheus.yml").write_text(head + labels + "rule_files: [rules.yml]\n" + jobs + config, "utf-8")
    program = tool("prometheus")
    port = free_port()
    command = [
        str(program.path),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",
    ]
    url = f"http://127.0.0.1:{port}"
    client = Client(url)
    scraped = Scraped(url, client, Prometheus(client), targets, command, program.folder)
    try:
        scraped.start()
        yield scraped
    finally:
        client.close()
        scraped.stop()


def _answers(client: Client, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
    try:
        client.get("/-/ready")
    except SourceUnavailable:
        return False
    return True


@contextmanager
def alerting(folder: Path, text: str) -> Iterator[str]:
    """Run Alertmanager on this configuration, alone in its cluster, until the end of the block; yield its address."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "alertmanager.yml"
    config.write_text(text, "utf-8")
    program = tool("alertmanager")
    port = free_port()
    command = [
        str(program.path),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "alertmanager.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=program.folder, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: http_status(f"{url}/-/ready") == 200, 20)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def silence(alertmanager: str, labels: Mapping[str, str], *more: dict[str, Any]) -> str:
    """Silence what has exactly these labels, and meets `more` matchers; return the silence's id."""
    matchers = [{"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in labels.items()]
    matchers += more
    body = {
        "matchers": matchers,
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z",
        "createdBy": "test",
        "comment": "test",
    }
    request = urllib.request.Request(
        f"{alertmanager}/api/v2/silences", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        return str(json.load(answer)["silenceID"])
