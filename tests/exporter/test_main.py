"""The program itself, as a real process."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.exporter.trees import values

TOP = Path(__file__).parents[2]

# what a default start must not load: each costs memory and start time, and none is needed
UNWANTED = {"flask", "pydantic", "psutil", "prometheus_client", "ssl", "bcrypt", "requests", "subprocess", "remediator"}


def start(*flags: str, **options: object) -> subprocess.Popen[str]:
    """Start the exporter on a free port."""
    argv = [sys.executable, "-W", "error", *(["-X", "importtime"] if options.get("imports") else []), "-m", "exporter"]
    flags = ("--web.listen-address=127.0.0.1:0", *flags)
    return subprocess.Popen([*argv, *flags], cwd=TOP, stderr=subprocess.PIPE, text=True, env=clean_environment())


def clean_environment() -> dict[str, str]:
    """Return our environment without the exporter's variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SELFHEAL_")}


@contextmanager
def running(*flags: str, **options: object) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """Start the exporter, wait until it listens, and end it."""
    child = start(*flags, **options)
    assert child.stderr is not None
    lines = []
    try:
        for line in child.stderr:
            lines.append(line)
            if "msg=listening" in line:
                break
        found = re.search(r"address=127\.0\.0\.1:(\d+)", lines[-1])
        assert found, lines
        yield child, int(found[1]), lines
    finally:
        child.kill()
        child.communicate()


def get(port: int, path: str) -> bytes:
    """Read one page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_default_start_serves_this_host_and_loads_nothing_heavy() -> None:
    with running(imports=True) as (child, port, lines):
        found = values(get(port, "/metrics"))
        child.send_signal(signal.SIGTERM)
        _, rest = child.communicate(timeout=10)

    imported = {line.rpartition("|")[2].strip() for line in [*lines, *rest.splitlines()] if "import time:" in line}
    assert {"exporter.server", "yaml"} <= imported
    assert {name.partition(".")[0] for name in imported} & UNWANTED == set()
    success = {series: value for series, value in found.items() if "collector_success" in series}
    assert len(success) == 6
    assert set(success.values()) == {"1"}
    assert float(found["node_memory_MemTotal_bytes"]) > 0
    assert child.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_promptly_though_a_scraper_is_connected(number: signal.Signals) -> None:
    with running() as (child, port, _), socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK")
        begun = time.monotonic()
        child.send_signal(number)

        assert child.wait(timeout=10) == 0
        assert time.monotonic() - begun < 2


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = start(f"--web.listen-address=127.0.0.1:{port}")
        _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert err == (
        f"selfheal-exporter: cannot listen on 127.0.0.1:{port}: another program is using this port; "
        "end that program, or choose another address with --web.listen-address\n"
    )


def test_an_address_of_nobody_is_named_with_the_remedy() -> None:
    child = start("--web.listen-address=192.0.2.1:0", "--web.allow-anyone")
    _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert err.startswith("selfheal-exporter: cannot listen on 192.0.2.1:0: ")
    assert "--web.listen-address" in err


def test_a_wrong_config_ends_it_with_every_error_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "groups.yml").write_text("process_names: [{name: a}, {comm: sh}]")
    child = start(f"--config.path={tmp_path}/groups.yml")
    _, err = child.communicate(timeout=20)

    assert child.returncode == 1
    assert err.splitlines() == [
        f"selfheal-exporter: {tmp_path}/groups.yml: process_names[0]: selects nothing; "
        "add at least one of comm, exe, cmdline",
        f"{tmp_path}/groups.yml: process_names[1].comm: must be a list with at least one text; write [...] around it",
    ]


def test_a_scrape_of_this_host_stays_cheap() -> None:
    with running() as (child, port, _):
        get(port, "/metrics")

        def ticks() -> int:
            words = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
            return int(words[11]) + int(words[12])

        before = ticks()
        for _ in range(50):
            get(port, "/metrics")
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK") / 50

    # some 2 ms on the slowest machine tried; ten times that would be felt at a scrape a second
    assert used < 0.02
