"""Units of systemd over D-Bus: a real bus, a stand-in for systemd, and node_exporter beside ours."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from jeepney import HeaderFields, Parser

from exporter.collectors import systemd
from exporter.collectors.systemd import UNITS_EXCLUDED
from exporter.config import make_parser
from exporter.encode import encode
from exporter.paths import Paths
from exporter.settings import IncompleteError, Settings
from exporter.systemd_bus import SystemdBus
from selfheal.common.clock import ManualClock, SystemClock
from selfheal.stack.oracles import NEWER
from tests.exporter import systemd_fake, systemd_world
from tests.exporter.oracle.pages import Page, parse
from tests.exporter.oracle.running import node_exporter, running
from tests.exporter.systemd_world import World
from tests.exporter.trees import values, wait_until

ALL = [f"--collector.systemd.enable-{what}-metrics" for what in ("restarts", "start-time", "task")]


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a bus and let it be the system's."""
    with systemd_world.bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address


@pytest.fixture
def world(tmp_path: Path, address: str) -> Iterator[World]:
    with systemd_world.systemd(tmp_path, address) as world:
        yield world


def settings(*flags: str, once: bool = True, root: Path = Path("/nowhere")) -> Settings:
    clock = SystemClock() if once else ManualClock()
    return Settings(Paths(rootfs=root), clock, make_parser().parse_args(flags), once=once)


def read(*flags: str) -> dict[str, float]:
    with closing(systemd.create(settings(*flags))) as collect:
        return {series: float(value) for series, value in values(collect()).items() if series.startswith("node_")}


def test_an_interval_of_no_time_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for given, told in (
        ("0", "at most once a second"),
        ("999ms", "at most once"),
        ("9" * 400 + "s", "longer than any"),
    ):
        with pytest.raises(SystemExit):
            settings("--collector.systemd.refresh-interval", given)
        assert told in capsys.readouterr().err
    assert vars(settings("--collector.systemd.refresh-interval", "1s").flags)["collector.systemd.refresh_interval"] == 1


def test_units_tell_their_states(world: World) -> None:
    found = read()

    states = {series for series, value in found.items() if series.startswith("node_systemd_unit_state") and value}
    assert states == {
        'node_systemd_unit_state{name="cron.service",state="active",type="simple"}',
        'node_systemd_unit_state{name="web@1-a.service",state="failed",type="notify"}',
        'node_systemd_unit_state{name="slow.service",state="activating",type="oneshot"}',
        'node_systemd_unit_state{name="backup.timer",state="active",type=""}',
        'node_systemd_unit_state{name="never.timer",state="inactive",type=""}',
        'node_systemd_unit_state{name="ssh.socket",state="active",type=""}',
        'node_systemd_unit_state{name="multi-user.target",state="active",type=""}',
    }
    assert found['node_systemd_units{state="active"}'] == 6
    assert found['node_systemd_units{state="deactivating"}'] == 0
    assert found['node_systemd_units{state="maintenance"}'] == 1
    assert found["node_systemd_system_running"] == 0
    assert found['node_systemd_version{version="252.39-1~deb12u2"}'] == 252.39
    assert found['node_systemd_virtualization_info{virtualization_type="kvm"}'] == 1


def test_timers_and_sockets_tell_what_they_counted(world: World) -> None:
    found = read()

    assert found['node_systemd_timer_last_trigger_seconds{name="backup.timer"}'] == 1700000100
    assert found['node_systemd_timer_last_trigger_seconds{name="never.timer"}'] == 0
    assert found['node_systemd_socket_accepted_connections_total{name="ssh.socket"}'] == 12
    assert found['node_systemd_socket_current_connections{name="ssh.socket"}'] == 2
    assert found['node_systemd_socket_refused_connections_total{name="ssh.socket"}'] == 1


def test_what_costs_more_is_told_only_when_asked_for(world: World) -> None:
    more = ("service_restart", "unit_start", "unit_tasks")
    assert not [series for series in read() if any(what in series for what in more)]

    found = read(*ALL)

    assert {s: v for s, v in found.items() if "restart" in s or "tasks" in s} == {
        'node_systemd_service_restart_total{name="cron.service"}': 3,
        'node_systemd_service_restart_total{name="web@1-a.service"}': 0,
        'node_systemd_unit_tasks_current{name="cron.service"}': 2,
        'node_systemd_unit_tasks_max{name="cron.service"}': 4915,
    }
    assert found['node_systemd_unit_start_time_seconds{name="cron.service"}'] == 1700000000.123456
    assert found['node_systemd_unit_start_time_seconds{name="web@1-a.service"}'] == 0


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (["unit-include=(cron|web@1-a)\\.service"], {"cron.service", "web@1-a.service"}),
        (["unit-include=cron"], set()),
        (["unit-include=.+timer", "unit-exclude=never"], {"backup.timer", "never.timer"}),
        (["unit-include=.+service", "unit-exclude=(cron|slow).*"], {"web@1-a.service"}),
        (["unit-exclude=.+\\.(service|timer|socket|target|device)"], {"srv.mount", "odd.path"}),
    ],
)
def test_filters_stand_for_whole_names_and_exclude_wins(world: World, flags: list[str], names: set[str]) -> None:
    found = read(*(f"--collector.systemd.{flag}" for flag in flags))

    assert {s.split('"')[1] for s in found if s.startswith("node_systemd_unit_state")} == names
    assert found['node_systemd_units{state="active"}'] == 6


def test_a_mount_tells_its_file_system(world: World) -> None:
    found = read("--collector.systemd.unit-exclude=none")

    assert found['node_systemd_unit_state{name="srv.mount",state="active",type="ext4"}'] == 1


@pytest.mark.parametrize(("told", "label"), [(["s", ""], "none"), (None, "unknown")])
def test_without_virtualization_it_says_so(world: World, told: list[str] | None, label: str) -> None:
    del world.properties["Manager Virtualization"]
    if told is not None:
        world.properties["Manager Virtualization"] = told
    world.save()

    assert f'node_systemd_virtualization_info{{virtualization_type="{label}"}}' in read()


def test_all_is_equal_to_node_exporters(world: World, address: str) -> None:
    flags = [*ALL, f"--collector.systemd.unit-exclude={UNITS_EXCLUDED}"]
    del world.properties["slow.service Service Type"]
    world.save()
    with running(
        node_exporter(NEWER["node_exporter"], "--collector.disable-defaults", "--collector.systemd", *flags)
    ) as oracle:
        theirs = of_systemd(oracle.ask())

    with closing(systemd.create(settings(*flags))) as collect:
        ours = of_systemd(parse(encode(collect()).decode()))

    # it came to node_exporter after this version
    assert ours.pop("node_systemd_virtualization_info")
    assert ours == theirs
    assert len(theirs) == 12


def of_systemd(page: Page) -> dict[str, object]:
    return {name: (family.kind, family.samples) for name, family in page.items() if name.startswith("node_systemd")}


def test_a_refresh_sees_what_has_changed_and_keeps_the_rest(world: World) -> None:
    asked = settings(once=False)
    with closing(systemd.create(asked)) as collect:
        wait_until(lambda: succeeds(collect))
        world.units[0][3:] = ["failed", "failed"]
        world.save()
        clock = asked.clock
        assert isinstance(clock, ManualClock)

        def has_changed() -> bool:
            return (
                values(collect()).get('node_systemd_unit_state{name="cron.service",state="failed",type="simple"}')
                == "1"
            )

        assert not has_changed()
        clock.advance(15)
        wait_until(has_changed)


def succeeds(collect: systemd.Systemd) -> bool:
    try:
        collect()
    except IncompleteError:
        return False
    return True


def test_types_are_asked_again_only_after_units_were_loaded_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from exporter.systemd_read import Reader, Wishes

    asked: list[str] = []
    real = SystemdBus.unit
    monkeypatch.setattr(
        SystemdBus, "unit", lambda self, path, part, name: asked.append(name) or real(self, path, part, name)
    )
    flags = vars(settings("--collector.systemd.unit-include=.+service").flags)
    include, exclude = (flags[f"collector.systemd.unit_{what}"] for what in ("include", "exclude"))
    wishes = Wishes(include, exclude, restarts=False, start_times=False, tasks=False)
    reader = Reader(lambda: SystemdBus(os.environ["DBUS_SYSTEM_BUS_ADDRESS"], 10), wishes)

    first = reader.read()
    assert (asked, reader.read().states) == (["Type"] * 3, first.states)

    world.properties["cron.service Service Type"] = ["s", "forking"]
    world.properties["Manager UnitsLoadTimestampMonotonic"] = ["t", 6]
    world.save()
    assert ("cron.service", "forking") in reader.read().states
    assert len(asked) == 6


def test_without_a_bus_it_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)
    with closing(systemd.create(settings(root=tmp_path))) as collect, pytest.raises(IncompleteError) as caught:
        collect()

    path = tmp_path / "run/dbus/system_bus_socket"
    assert str(caught.value) == f"systemd: cannot connect to unix:path={path}: No such file or directory"


def test_a_bus_without_systemd_is_an_error(address: str) -> None:
    with closing(systemd.create(settings())) as collect, pytest.raises(IncompleteError, match="does not say how"):
        collect()


def test_a_bus_that_is_mute_is_given_up(tmp_path: Path) -> None:
    with listening(tmp_path / "bus"), pytest.raises(ConnectionError, match=r"Did not authenticate in 0\.2 seconds"):
        SystemdBus(f"unix:path={tmp_path / 'bus'}", 0.2)


def test_a_bus_that_lets_us_in_and_then_is_mute_is_given_up(tmp_path: Path) -> None:
    with listening(tmp_path / "bus") as server, ThreadPoolExecutor() as threads:
        through = threads.submit(authenticate, server)
        begun = time.monotonic()

        with pytest.raises(TimeoutError, match=r"no answer in 0\.2 s"):
            SystemdBus(f"unix:path={tmp_path / 'bus'}", 0.2)

        assert time.monotonic() - begun < 15
        through.result(20).close()


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen on a socket in the file system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(20)
        yield server


def authenticate(server: socket.socket) -> socket.socket:
    """Take one connection as a bus does, and return it once it is through."""
    connection, _ = server.accept()
    received = b""
    while b"BEGIN\r\n" not in received:
        # one by one, for messages follow at once
        received += connection.recv(1)
        if received.endswith(b"\r\n") and b"BEGIN" not in received:
            connection.sendall(b"OK 0123456789abcdef\r\n")
    return connection


def test_systemds_own_socket_needs_no_bus(tmp_path: Path) -> None:
    world = World(tmp_path)
    members: list[str] = []

    def serve(server: socket.socket) -> None:
        with authenticate(server) as connection:
            parser, serial = Parser(), 0
            while data := connection.recv(4096):
                parser.add_data(data)
                while (message := parser.get_next_message()) is not None:
                    members.append(message.header.fields[HeaderFields.member])
                    serial += 1
                    connection.sendall(systemd_fake.answer(message, world.facts).serialise(serial=serial))

    with listening(tmp_path / "run/systemd/private") as server, ThreadPoolExecutor() as threads:
        served = threads.submit(serve, server)
        with closing(systemd.create(settings("--collector.systemd.private", root=tmp_path))) as collect:
            found = values(collect())
        served.result(20)

    assert found['node_systemd_unit_state{name="cron.service",state="active",type="simple"}'] == "1"
    assert "Hello" not in members


def test_closing_ends_the_threads(world: World) -> None:
    before = threading.active_count()
    collect = systemd.create(settings())
    collect()

    collect.close()

    assert threading.active_count() == before


def test_the_library_is_loaded_only_for_who_asks() -> None:
    code = "import sys; from exporter.collectors import COLLECTORS; print('jeepney' in sys.modules)"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)

    assert result.stdout == "False\n"
