"""The whole page: one golden file, linted; the table; and collectors that fail."""

from __future__ import annotations

import logging
import os
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter.collectors
from exporter.__main__ import build_registry
from exporter.collectors import COLLECTORS
from exporter.config import read_config
from exporter.encode import Family, Metric
from exporter.listening import open_listeners
from exporter.messages import Request
from exporter.registry import Registry
from exporter.routes import Routes
from exporter.server import Server
from exporter.settings import IncompleteError
from selfheal import __version__
from selfheal.common.clock import ManualClock
from tests.exporter.trees import FIXTURES, GROUPS, PROCFS, ROOTFS, copied_procfs, values
from tests.tools import binary

GOLDEN = FIXTURES / "metrics.golden"
ANY_VERSION = "0.0.0"

# those that read nothing but the captured trees of this page
ON_THE_PAGE = ("cpu", "directory", "filesystem", "loadavg", "meminfo", "process")

# names that node_exporter and process-exporter gave, and that promtool would have otherwise
INHERITED = re.compile(
    r"node_memory_\w+ metric names should be written in 'snake_case' not 'camelCase'"
    r"|namedprocess_scrape_(partial_|procread_)?errors counter metrics should have \"_total\" suffix"
)


def routes(server: Server, procfs: Path = PROCFS, *more: str) -> Routes:
    """Build all pages on a captured tree."""
    flags = [f"--path.procfs={procfs}", f"--path.rootfs={ROOTFS}", f"--config.path={GROUPS}"]
    flags += ["--collector.disable-defaults", *(f"--collector.{name}" for name in ON_THE_PAGE)]
    config = read_config([*flags, "--collector.directory.root=/srv/data", *more])
    return Routes(build_registry(config, ManualClock()), config.web.metrics_path, server.families)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that listens and never serves, for its own metrics; the mounts' sizes are the same everywhere."""
    room = os.statvfs_result((4096, 4096, 1000, 400, 300, 50, 20, 19, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: room)
    listening = Server(open_listeners([("127.0.0.1", 0)]), ManualClock())
    yield listening
    listening.stop()
    listening.serve(lambda _: pytest.fail("nobody asks"))


def get(path: str, query: str = "") -> Request:
    """Ask for a page."""
    return Request("GET", path, query, {}, True)


def test_the_whole_page_is_the_golden_one(server: Server) -> None:
    page = routes(server).answer(get("/metrics")).body.decode()
    page = page.replace(f'version="{__version__}"', f'version="{ANY_VERSION}"')
    page = re.sub('goarch="[^"]+"', 'goarch="any"', page)
    if os.environ.get("SELFHEAL_WRITE_GOLDEN"):
        GOLDEN.write_text(page)

    assert page == GOLDEN.read_text()


def test_the_golden_page_has_only_inherited_faults() -> None:
    lint = subprocess.run(
        [binary("promtool"), "check", "metrics"], input=GOLDEN.read_bytes(), capture_output=True, timeout=30
    )

    faults = (lint.stdout + lint.stderr).decode().splitlines()
    assert [fault for fault in faults if not INHERITED.fullmatch(fault)] == []
    # the exceptions are still needed
    assert len(faults) > 10


def test_every_collector_is_in_the_table_under_its_name() -> None:
    modules = {module.name for module in pkgutil.iter_modules(exporter.collectors.__path__)}

    # a module may not be called as one of Python's own that it needs
    assert set(COLLECTORS) == {module.rstrip("_") for module in modules}
    assert list(COLLECTORS) == sorted(COLLECTORS)
    assert {name: collector.name for name, collector in COLLECTORS.items()} == {name: name for name in COLLECTORS}


def test_no_family_has_two_collectors(server: Server) -> None:
    page = routes(server).answer(get("/metrics")).body.decode()

    names = re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("query", "collectors"),
    [
        ("collect[]=cpu", ["cpu"]),
        ("collect%5B%5D=cpu&collect[]=loadavg", ["cpu", "loadavg"]),
        ("exclude[]=cpu&exclude[]=process&exclude[]=meminfo", ["directory", "filesystem", "loadavg"]),
        ("other=1", list(ON_THE_PAGE)),
    ],
)
def test_a_query_chooses_collectors(server: Server, query: str, collectors: list[str]) -> None:
    found = values(routes(server).answer(get("/metrics", query)).body)

    asked = [series for series in found if series.startswith("node_scrape_collector_success")]
    assert asked == [f'node_scrape_collector_success{{collector="{name}"}}' for name in collectors]


def broken() -> list[Family]:
    """Fail as no collector should."""
    raise ZeroDivisionError("division by zero")


THING = Metric("selfheal_thing", "gauge", "A thing.")


def test_an_exception_in_one_collector_leaves_the_page_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry({"broken": broken, "good": lambda: [THING.only(1)]}, ManualClock())
    for _ in range(3):
        found = values(registry.gather())

    assert found["selfheal_thing"] == "1"
    assert found['node_scrape_collector_success{collector="broken"}'] == "0"
    assert found['node_scrape_collector_success{collector="good"}'] == "1"
    assert found['selfheal_exporter_collector_failures_total{collector="broken"}'] == "3"
    assert found['selfheal_exporter_collector_failures_total{collector="good"}'] == "0"
    # one warning, however often it is scraped
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (record.collector, record.reason) == (  # type: ignore[attr-defined]
        "broken",
        "ZeroDivisionError: division by zero",
    )


def test_what_was_read_of_a_part_is_exported_and_success_is_zero() -> None:
    def partly() -> list[Family]:
        raise IncompleteError("half", [THING.only(2)])

    found = values(Registry({"partly": partly}, ManualClock()).gather())

    assert found["selfheal_thing"] == "2"
    assert found['node_scrape_collector_success{collector="partly"}'] == "0"


def test_a_recovery_is_told_once_and_the_next_failure_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fails = iter([True, True, False, False, True])

    def sometimes() -> list[Family]:
        if next(fails):
            raise OSError(5, "Input/output error")
        return []

    registry = Registry({"sometimes": sometimes}, ManualClock())
    for _ in range(5):
        registry.gather()

    assert [record.getMessage() for record in caplog.records] == [
        "collector failed",
        "collector works again",
        "collector failed",
    ]


def test_each_collectors_time_is_its_own() -> None:
    clock = ManualClock()

    def slow() -> list[Family]:
        clock.advance(1.5)
        return []

    found = values(Registry({"fast": list, "slow": slow}, clock).gather())

    assert found['node_scrape_collector_duration_seconds{collector="slow"}'] == "1.5"
    assert found['node_scrape_collector_duration_seconds{collector="fast"}'] == "0.0"


def test_an_unreadable_procfs_leaves_a_page(server: Server, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    found = values(routes(server, tmp_path / "empty").answer(get("/metrics")).body)

    success = {series: value for series, value in found.items() if "collector_success" in series}
    assert success.pop('node_scrape_collector_success{collector="directory"}') == "1"
    assert len(success) == 5
    assert set(success.values()) == {"0"}


def test_one_unreadable_process_sets_success_zero_and_the_page_comes(server: Server, tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    (procfs / "900/stat").unlink()
    (procfs / "900/stat").mkdir()

    found = values(routes(server, procfs).answer(get("/metrics")).body)

    assert found['node_scrape_collector_success{collector="process"}'] == "0"
    assert found['node_scrape_collector_success{collector="cpu"}'] == "1"
    assert found['namedprocess_namegroup_num_procs{groupname="web"}'] == "3"


def test_hostile_names_never_break_the_page(server: Server, tmp_path: Path) -> None:
    procfs = copied_procfs(tmp_path)
    hostile = 'a"} 1\nselfheal_thing{x="\\ {{ $labels.y }} $(reboot) <b>'
    (procfs / "900/cmdline").write_bytes(b"queue\0--name=mail\0")
    (procfs / "901/stat").write_text((procfs / "901/stat").read_text().replace("(queue)", f"({hostile})"))
    (tmp_path / "groups.yml").write_text("process_names: [{name: '{{.Comm}}', cmdline: [queue]}]")

    page = routes(server, procfs, f"--config.path={tmp_path}/groups.yml").answer(get("/metrics")).body
    series = [line for line in page.decode().splitlines() if "num_procs{" in line]

    escaped = r"a\"} 1\nselfheal_thing{x=\"\\ {{ $labels.y }} $(reboot) <b>"
    assert series == [
        'namedprocess_namegroup_num_procs{groupname="queue"} 1',
        f'namedprocess_namegroup_num_procs{{groupname="{escaped}"}} 1',
    ]
    lint = subprocess.run([binary("promtool"), "check", "metrics"], input=page, capture_output=True, timeout=30)
    assert b"pars" not in lint.stderr
