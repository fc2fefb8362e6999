"""A host on which processes start and end all the time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.exporter.programs import ask, running
from tests.exporter.trees import values, wait_until

# each child ends at once; the count so far is printed now and then
_FORKING = """
import os, sys, time
done = 0
while True:
    for _ in range(25):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    done += 25
    print(done, flush=True)
    # no more than some 2,000 a second
    time.sleep(0.01)
"""


@contextmanager
def forking() -> Iterator[subprocess.Popen[str]]:
    """Start and end processes as fast as asked, until the end."""
    child = subprocess.Popen([sys.executable, "-c", _FORKING], stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def forks() -> int:
    """Return how many processes have been started since boot."""
    lines = Path("/proc/stat").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("processes ")).split()[1])


def test_a_thousand_processes_a_second_spoil_no_page(tmp_path: Path) -> None:
    (tmp_path / "groups.yml").write_text("process_names: [{name: '{{.Comm}}', cmdline: ['.+']}]")
    with running(f"--config.path={tmp_path}/groups.yml", "--collector.processes") as program, forking():
        begun, counted = time.monotonic(), forks()
        durations = []
        wait_until(lambda: forks() - counted > 100)
        for _ in range(40):
            asked = time.monotonic()
            status, page = ask(program.port, "/metrics")
            durations.append(time.monotonic() - asked)
            found = values(page)
            assert status == 200
            assert found['node_scrape_collector_success{collector="process"}'] == "1"
            assert found['node_scrape_collector_success{collector="processes"}'] == "1"
        wait_until(lambda: time.monotonic() - begun > 1)
        rate = (forks() - counted) / (time.monotonic() - begun)

    # on a slow machine fewer are started; the point is that there were many during each page
    assert rate > 300
    assert max(durations) < 5
    failures = {series: value for series, value in found.items() if "collector_failures_total" in series}
    assert set(failures.values()) == {"0"}
