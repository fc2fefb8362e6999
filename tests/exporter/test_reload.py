"""SIGHUP: what changed is built anew, what is wrong leaves everything as it was."""

from __future__ import annotations

import functools
import json
import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.build import build_collectors
from exporter.collectors import COLLECTORS
from exporter.config import read_config
from exporter.encode import Family, Metric
from exporter.notify import Notifier
from exporter.registry import Collect, Registry
from exporter.reload import Reloader
from exporter.settings import Settings
from exporter.watch import watch_of
from selfheal.common.clock import ManualClock
from tests.exporter.programs import get, running
from tests.exporter.trees import PROCFS, values, wait_until

SUCCESSFUL = "selfheal_exporter_config_last_reload_successful"
TIMESTAMP = "selfheal_exporter_config_last_reload_success_timestamp_seconds"


class Running:
    """A registry of the process collector and one without files, and what reloads them."""

    def __init__(self, folder: Path, *more: str, procfs: Path = PROCFS, comm: str = "web") -> None:
        self.groups, self.comm = folder / "groups.yml", comm
        self.name_groups("web")
        self.clock = ManualClock(now=1000.0)
        names = ("process", "loadavg", *more)
        only = ["--collector.disable-defaults", *(f"--collector.{name}" for name in names)]
        config = read_config([*only, f"--config.path={self.groups}", f"--path.procfs={procfs}"])
        settings = Settings(config.paths, self.clock, config.flags)
        self.watch = watch_of(settings)
        self.registry = Registry(build_collectors(config.collectors, settings), self.clock)
        self.reloader = Reloader(config, self.registry, settings, Notifier({}, self.clock))

    def name_groups(self, name: str) -> None:
        """Write the file of groups."""
        self.groups.write_text(f"process_names: [{{name: {name}, comm: [{self.comm}]}}]")

    def own(self) -> tuple[int, float]:
        """Return how the last reload went, and when the last good one was."""
        found = values(self.reloader.families())
        return int(found[SUCCESSFUL]), float(found[TIMESTAMP])

    def group_names(self) -> set[str]:
        """Return the groups on the page."""
        found = values(self.registry.page())
        return {series.split('"')[1] for series in found if series.startswith("namedprocess_namegroup_num_procs{")}


@pytest.fixture
def live(tmp_path: Path) -> Running:
    """Collectors that can be reloaded."""
    return Running(tmp_path)


def test_a_collector_whose_file_changed_is_exchanged_and_no_other(live: Running) -> None:
    before = live.registry.collectors()
    assert (live.own(), live.group_names()) == ((1, 1000.0), {"web"})
    live.name_groups("pages")
    live.clock.advance(5)

    assert live.reloader.reload()

    after = live.registry.collectors()
    assert (live.own(), live.group_names()) == ((1, 1005.0), {"pages"})
    assert after["process"] is not before["process"]
    assert after["loadavg"] is before["loadavg"]


def test_what_did_not_change_keeps_its_counters(live: Running) -> None:
    before = live.registry.collectors()
    live.clock.advance(5)

    assert live.reloader.reload()

    assert live.registry.collectors() == before
    assert live.own() == (1, 1005.0)


def test_a_bad_file_leaves_the_old_running_and_the_next_good_one_is_taken(
    live: Running, caplog: pytest.LogCaptureFixture
) -> None:
    before = live.registry.collectors()
    live.groups.write_text("process_names: [{name: a}]")
    live.clock.advance(5)

    assert not live.reloader.reload()
    assert (live.own(), live.group_names()) == ((0, 1000.0), {"web"})
    assert live.registry.collectors() == before
    (record,) = caplog.records
    assert record.getMessage() == "reload refused; everything runs on as before"
    assert f"{live.groups}: process_names[0]: selects nothing" in record.reason  # type: ignore[attr-defined]

    live.name_groups("pages")
    assert live.reloader.reload()
    assert (live.own(), live.group_names()) == ((1, 1005.0), {"pages"})


def test_a_file_that_is_gone_is_a_bad_one(live: Running) -> None:
    live.groups.unlink()

    assert not live.reloader.reload()
    assert live.group_names() == {"web"}


class Reading:
    """A collector that says what its file held when it was built."""

    name, text, enabled = "reading", "what a file says", False
    metric = Metric("selfheal_reading", "gauge", "R.", ("text",))

    def __init__(self, path: Path) -> None:
        self.path = path
        self.built: list[str] = []
        self.closed: list[str] = []

    def add_flags(self, parser: object) -> None:
        """Need none."""

    def files(self, flags: object) -> list[Path]:
        """Name the file."""
        return [self.path]

    def create(self, settings: Settings) -> Callable[[], list[Family]]:
        """Read it."""
        text = self.path.read_text()
        self.built.append(text)
        collect = functools.partial(lambda: [self.metric.of({(text,): 1})])
        collect.close = lambda: self.closed.append(text)  # type: ignore[attr-defined]
        return collect


def test_one_bad_file_keeps_back_all_and_closes_what_was_built_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reading").write_text("before")
    reading = Reading(tmp_path / "reading")
    monkeypatch.setitem(COLLECTORS, "reading", reading)
    live = Running(tmp_path, "reading")
    live.groups.write_text("nonsense")
    reading.path.write_text("after")

    assert not live.reloader.reload()
    assert 'selfheal_reading{text="before"}' in values(live.registry.page())
    assert (reading.built, reading.closed) == (["before", "after"], ["after"])

    live.name_groups("pages")
    assert not live.reloader.reload(broken)
    assert 'selfheal_reading{text="before"}' in values(live.registry.page())
    assert live.group_names() == {"web"}

    assert live.reloader.reload()
    assert 'selfheal_reading{text="after"}' in values(live.registry.page())
    assert live.group_names() == {"pages"}
    assert reading.closed == ["after", "after", "before"]


def test_a_refused_reload_leaves_the_counters_of_groups_and_what_is_held_open(tmp_path: Path) -> None:
    def used() -> float:
        return float(
            values(live.registry.page())['namedprocess_namegroup_cpu_seconds_total{groupname="a",mode="user"}']
        )

    live = Running(tmp_path, procfs=Path("/proc"), comm=json.dumps(Path("/proc/self/comm").read_text().strip()))
    live.name_groups("a")
    assert live.reloader.reload()
    used()
    before = live.watch.table, live.watch.groups, live.watch.table._residents
    wait_until(lambda: used() > 0)

    live.name_groups("b")
    assert not live.reloader.reload(broken)

    assert live.group_names() == {"a"}
    assert used() > 0
    assert (live.watch.table, live.watch.groups, live.watch.table._residents) == before


def test_groups_are_exchanged_although_their_processes_were_just_looked_at_for_others(tmp_path: Path) -> None:
    live = Running(tmp_path, "processes")
    live.registry.page()
    live.name_groups("pages")
    assert live.reloader.reload()
    live.registry.page(["processes"])

    assert live.group_names() == {"pages"}
    assert live.registry.failures()["process"] == 0


def broken() -> None:
    """Say that another file is broken."""
    raise ValueError("web.yml: is broken")


def test_signals_that_come_during_a_reload_become_one_more(live: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    begun, let_go = threading.Semaphore(0), threading.Event()

    def check() -> None:
        begun.release()
        assert let_go.wait(30)

    live.reloader.ask(check)
    assert begun.acquire(timeout=10)
    for _ in range(5):
        live.reloader.ask(check)
    let_go.set()

    assert begun.acquire(timeout=10)
    wait_until(lambda: not live.reloader._at_work)
    assert not begun.acquire(blocking=False)
    assert [record.getMessage() for record in caplog.records] == ["reloaded"] * 2


def test_without_a_thread_a_reload_is_refused_and_the_next_one_goes(
    live: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    live.name_groups("pages")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        live.reloader.ask(lambda: None)
    assert live.own()[0] == 0

    live.reloader.ask(lambda: None)
    wait_until(lambda: not live.reloader._at_work)
    assert live.own()[0] == 1
    assert live.group_names() == {"pages"}


def test_files_are_as_new_as_when_their_reading_began(live: Running) -> None:
    assert live.reloader.reload(lambda: live.clock.advance(5))

    assert live.own() == (1, 1000.0)


def test_a_fault_in_a_collector_closes_those_built_before_it(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Closing:
        """A collector that notes its end."""

        def __call__(self) -> list[Family]:
            """Return nothing."""
            return []

        def close(self) -> None:
            """Note it."""
            closed.append("loadavg")

    def fail(_: Settings) -> Collect:
        raise RuntimeError("can't start new thread")

    settings = live.reloader._settings
    monkeypatch.setitem(vars(COLLECTORS["loadavg"]), "create", lambda _: Closing())
    monkeypatch.setitem(vars(COLLECTORS["uname"]), "create", fail)

    with pytest.raises(RuntimeError):
        build_collectors(["loadavg", "uname"], settings)
    assert closed == ["loadavg"]


def test_a_fault_in_a_collector_ends_no_reloading(live: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    live.name_groups("pages")
    with monkeypatch.context() as patch:
        patch.setattr("exporter.reload.build_collectors", fail)
        assert not live.reloader.reload()

    assert live.reloader.reload()
    assert live.group_names() == {"pages"}


def test_a_signal_reloads_the_program(tmp_path: Path) -> None:
    groups, web = tmp_path / "groups.yml", tmp_path / "web.yml"
    groups.write_text("process_names: [{name: before, comm: [none]}]")
    web.write_text("http_server_config: {headers: {X-Frame-Options: deny}}")
    flags = ("--collector.disable-defaults", "--collector.process", f"--config.path={groups}")

    def page() -> dict[str, str]:
        return values(get(program.port, "/metrics"))

    with running(*flags, f"--web.config.file={web}") as program:
        assert 'namedprocess_namegroup_num_procs{groupname="before"}' in page()
        groups.write_text("process_names: [{name: after, comm: [none]}]")
        program.child.send_signal(signal.SIGHUP)
        wait_until(lambda: program.logged("msg=reloaded changed=process"))
        assert 'namedprocess_namegroup_num_procs{groupname="after"}' in page()
        assert 'namedprocess_namegroup_num_procs{groupname="before"}' not in page()

        groups.write_text("nonsense")
        program.child.send_signal(signal.SIGHUP)
        wait_until(lambda: program.logged("reload refused"))
        assert 'namedprocess_namegroup_num_procs{groupname="after"}' in page()
        assert page()[SUCCESSFUL] == "0"

        program.child.send_signal(signal.SIGTERM)
        assert program.child.wait(timeout=10) == 0
