"""Prometheus itself scrapes the exporter through TLS, with a password and a certificate of its own."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import bcrypt

from benchmarks.rig import free_port
from tests.exporter.certificates import issue, make_authority
from tests.exporter.programs import Running, running
from tests.exporter.trees import wait_until
from tests.tools import tool


@contextmanager
def prometheus(folder: Path, config: str) -> Iterator[int]:
    """Run Prometheus with this configuration; give its port."""
    port, found = free_port(), tool("prometheus")
    (folder / "prometheus.yml").write_text(config)
    child = subprocess.Popen(
        [
            found.path, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        ],
        cwd=found.folder,
    )  # fmt: skip
    try:
        yield port
    finally:
        child.kill()
        child.wait()


def query(port: int, expression: str) -> list[str]:
    """Ask Prometheus; return the values."""
    address = f"http://127.0.0.1:{port}/api/v1/query?query={quote(expression)}"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return [result["value"][1] for result in json.load(answer)["data"]["result"]]
    except OSError:
        # it has not begun to listen
        return []


def kinds(port: int, metric: str) -> list[str]:
    """Return the kind of a metric as Prometheus has read it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/metadata?metric={metric}", timeout=10) as answer:
        return [entry["type"] for entry in json.load(answer)["data"].get(metric, [])]


def guarded(folder: Path) -> tuple[Path, str]:
    """Write a web configuration that asks for everything, and how Prometheus answers to that."""
    authority = make_authority(folder, "authority")
    server, client = issue(authority, "server"), issue(authority, "prometheus", "DNS:prometheus.example")
    hashed = bcrypt.hashpw(b"wonderland", bcrypt.gensalt(5)).decode()
    web = folder / "web.yml"
    web.write_text(f"""
tls_server_config:
  cert_file: {server.cert.name}
  key_file: {server.key.name}
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: {authority.cert.name}
  client_allowed_sans: [prometheus.example]
  min_version: TLS13
basic_auth_users: {{alice: {hashed}}}
""")
    own = f"{{ca_file: {authority.cert}, cert_file: {client.cert}, key_file: {client.key}}}"
    return web, f"scheme: https, tls_config: {own}"


def test_prometheus_scrapes_through_tls_with_password_and_certificate(tmp_path: Path) -> None:
    web, scheme = guarded(tmp_path)
    flags = ("--collector.disable-defaults", "--collector.loadavg", "--collector.cpu")
    with running(*flags, f"--web.config.file={web}") as program:
        jobs = [job(program, scheme, name, password) for name, password in (("good", "wonderland"), ("bad", "else"))]
        config = "global: {scrape_interval: 1s}\nscrape_configs:\n" + "".join(jobs)
        with prometheus(tmp_path, config) as port:
            wait_until(lambda: query(port, 'up{job="good"}') == ["1"], 50)
            wait_until(lambda: query(port, 'up{job="bad"}') == ["0"])

            assert query(port, 'scrape_samples_scraped{job="good"} > 20')
            assert query(port, 'node_scrape_collector_success{collector="loadavg"}') == ["1"]
            # its own client asks for OpenMetrics: there a counter's family has no _total
            assert kinds(port, "node_cpu_seconds") == ["counter"]
            # what was answered the bad one is told by the next good scrape
            wait_until(lambda: query(port, 'selfheal_exporter_http_responses_total{code="401"} > 0'), 20)


def job(program: Running, scheme: str, name: str, password: str) -> str:
    """Return the configuration of one job."""
    login = f"{{username: alice, password: {password}}}"
    where = f"[{{targets: ['127.0.0.1:{program.port}']}}]"
    return f"- {{job_name: {name}, {scheme}, basic_auth: {login}, static_configs: {where}}}\n"
