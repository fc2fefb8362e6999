"""The choice of the engine, what it refuses, and what it would tell on systems that are not here."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.build import CannotBuildError, build_collectors, creators
from exporter.collectors import COLLECTORS
from exporter.config import make_parser, read_all
from exporter.encode import Family
from exporter.paths import Paths
from exporter.portable import PORTABLE
from exporter.portable.cpu import by_mode
from exporter.portable.filesystem import _Drives
from exporter.settings import Settings
from selfheal.common.clock import ManualClock
from tests.exporter.portable_world import Cpu, Partition
from tests.exporter.programs import TOP, clean_environment
from tests.exporter.trees import values, wait_until

_SYSTEMS = ("darwin", "win32")


def settings(*flags: str) -> Settings:
    """Return the settings of the portable engine."""
    parsed = make_parser().parse_args(["--engine=portable", *flags])
    return Settings(Paths(), ManualClock(), parsed)


def build(name: str, *flags: str) -> Callable[[], list[Family]]:
    """Build one collector of the portable engine."""
    return PORTABLE[name](settings(*flags))


def test_on_linux_procfs_is_chosen_by_itself() -> None:
    flags = make_parser().parse_args([])

    assert creators(flags).keys() == COLLECTORS.keys()


def test_the_engine_can_be_chosen_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFHEAL_ENGINE", "portable")

    assert creators(make_parser().parse_args([])) is PORTABLE


def test_by_default_those_are_on_that_are_there() -> None:
    config, problems = read_all(["--engine=portable", "--no-collector.cpu"])

    assert problems == []
    assert config is not None
    assert set(config.collectors) == {name for name in PORTABLE if COLLECTORS[name].enabled} - {"cpu"}


def test_psutil_is_not_loaded_on_linux() -> None:
    script = "import sys, exporter.__main__ as it; it.main(['--once']); sys.exit('psutil' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=TOP, capture_output=True, env=clean_environment())

    assert (done.returncode, done.stderr) == (0, b"")


def test_without_psutil_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("exporter.portable")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psutil", None)

    assert read_all(["--engine=portable"]) == (
        None, ["--engine=portable needs psutil; install it: pip install psutil"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("system", "flags", "expected"),
    [
        ("linux", ("--engine=portable", "--path.procfs=/host/proc"),
         "--path.procfs, --path.sysfs and --path.rootfs are only for --engine=procfs, on Linux; remove them"),
        ("darwin", ("--engine=procfs",), "--engine=procfs is only for Linux; leave the flag out"),
        ("freebsd14", (), "this system, freebsd14, is none of Linux, macOS and Windows"),
    ],
    ids=["paths", "procfs-elsewhere", "unknown-system"],
)  # fmt: skip
def test_an_engine_that_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch, system: str, flags: tuple[str, ...], expected: str
) -> None:
    monkeypatch.setattr("sys.platform", system)

    assert read_all([*flags, "--nonsense"]) == (None, ["unrecognized arguments: --nonsense", expected])


@pytest.mark.parametrize(
    "flag",
    [
        "--collector.cpu.info", "--collector.netdev.address-info", "--collector.netdev.enable-detailed-metrics",
        "--collector.netdev.label-ifalias", "--collector.stat.softirq", "--gather-smaps", "--threads",
    ],
)  # fmt: skip
def test_a_flag_that_only_linux_fulfils_is_refused(flag: str) -> None:
    through_psutil = [name for name in PORTABLE if COLLECTORS[name].enabled]

    with pytest.raises(CannotBuildError) as caught:
        build_collectors(through_psutil, settings(flag))

    assert caught.value.problems == [f"{flag} is only for --engine=procfs, on Linux; remove it"]


def test_a_collector_that_is_not_there_is_refused_with_all_else_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "groups.yml").write_text('process_names: [{name: "{{.Cgroups}}", comm: [a]}]')

    with pytest.raises(CannotBuildError) as caught:
        build_collectors(["arp", "process"], settings(f"--config.path={tmp_path}/groups.yml"))

    assert caught.value.problems == [
        "--collector.arp is only for --engine=procfs, on Linux; remove it",
        f"{tmp_path}/groups.yml: {{{{.Cgroups}}}} is only for --engine=procfs, on Linux; remove it",
    ]


def test_windows_interrupts_are_taken_out_of_its_system_time() -> None:
    times = Cpu["win32"](10.0, 7.0, 50.0, 2.0, 1.0)._asdict()

    assert by_mode(times) == {"user": 10.0, "system": 4.0, "idle": 50.0, "irq": 2.0, "softirq": 1.0}


@pytest.mark.parametrize(
    ("idle", "expected"),
    [(99.0, "100.0"), (97.5, "100.0"), (97.0, "97.0")],
    ids=["steps-back", "just-not-anew", "anew"],
)
def test_cpu_time_falls_only_when_a_cpu_counts_anew(
    monkeypatch: pytest.MonkeyPatch, idle: float, expected: str
) -> None:
    told = [Cpu["darwin"](10.0, 1.0, 7.0, 100.0)]
    monkeypatch.setattr("psutil.cpu_times", lambda **_: told)
    monkeypatch.setattr("exporter.portable.cpu.SYSTEM", "darwin")
    collect = build("cpu")
    collect()
    told[:] = [Cpu["darwin"](10.0, 1.0, 7.0, idle)]

    assert values(collect())['node_cpu_seconds_total{cpu="0",mode="idle"}'] == expected


def test_cpus_that_come_or_go_have_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [Cpu["darwin"](9.0, 9.0, 9.0, 9.0), Cpu["darwin"](2.0, 2.0, 2.0, 2.0)]
    monkeypatch.setattr("psutil.cpu_times", lambda **_: told)
    monkeypatch.setattr("exporter.portable.cpu.SYSTEM", "darwin")
    collect = build("cpu")
    collect()
    del told[0]

    assert values(collect())['node_cpu_seconds_total{cpu="0",mode="user"}'] == "2.0"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [((), {"/", "/data"}), (("--collector.filesystem.mount-points-exclude=^/data",), {"/", "/proc"})],
    ids=["default", "given"],
)
def test_mounts_are_filtered_as_by_the_other_engine(
    monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], expected: set[str]
) -> None:
    mounts = [
        Partition("a", "/", "ext4", "rw"), Partition("b", "/data", "ext4", "ro,x"), Partition("c", "/proc", "y", "rw"),
    ]  # fmt: skip
    monkeypatch.setattr("psutil.disk_partitions", lambda **_: mounts)

    found = values(build("filesystem", *flags)())

    told = {series: value for series, value in found.items() if series.startswith("node_filesystem_readonly")}
    assert {point for series in told for point in re.findall('mountpoint="([^"]+)"', series)} == expected
    assert ("1" in told.values()) == ("/data" in expected)


def test_a_drive_that_hangs_is_named_and_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = threading.Event(), []

    def usage(path: str) -> SimpleNamespace:
        asked.append(path)
        if path != "C:":
            answer.wait(30)
        return SimpleNamespace(total=100, used=60, free=40)

    monkeypatch.setattr("psutil.disk_usage", usage)
    drives = _Drives(0.01, 1)
    try:
        first = drives.ask(["C:", "D:", "E:"])
        second = drives.ask(["C:", "D:"])
    finally:
        answer.set()
    wait_until(lambda: drives.ask(["C:", "D:"])["D:"] == (100, 40, 40, None, None))

    # the third was not asked: one that hangs may be waited for
    assert first == {"C:": (100, 40, 40, None, None), "D:": "mountpoint timeout", "E:": "mountpoint timeout"}
    assert second["D:"] == "mountpoint timeout"
    assert asked[:3] == ["C:", "D:", "C:"]


def elsewhere(system: str, *flags: str) -> dict[str, str]:
    """Return the page that is printed where Python looks like another system's."""
    argv = [sys.executable, "-W", "error", "-m", "tests.exporter.portable_elsewhere", system, "--once", *flags]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, timeout=50, env=clean_environment())
    assert (done.returncode, done.stderr) == (0, b"")
    return values(done.stdout)


@pytest.fixture(scope="module", params=_SYSTEMS)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """The page of another system, with groups of processes: imported whole there, and not run there."""
    groups = tmp_path_factory.mktemp("elsewhere") / "groups.yml"
    groups.write_text(
        "process_names:\n"
        "  - {name: 'web of {{.Username}}', exe: [nginx, nginx.exe]}\n"
        "  - {name: '{{.ExeBase}}', comm: [agent.exe]}\n"
    )
    return request.param, elsewhere(request.param, f"--config.path={groups}")


_DARWIN = {
    'node_cpu_seconds_total{cpu="0",mode="nice"}': "1.0",
    'node_cpu_seconds_total{cpu="0",mode="system"}': "7.0",
    "node_load1": "0.5",
    "node_memory_MemTotal_bytes": "8388608",
    "node_memory_MemAvailable_bytes": "3145728",
    "node_memory_total_bytes": "8388608",
    "node_memory_active_bytes": "4194304",
    "node_memory_inactive_bytes": "2097152",
    "node_memory_wired_bytes": "1048576",
    "node_memory_swap_used_bytes": "1048576",
    "node_memory_swap_total_bytes": "4194304",
    "node_memory_swapped_in_bytes_total": "4096",
    "node_memory_swapped_out_bytes_total": "8192",
    "node_memory_SwapFree_bytes": "3145728",
    'node_network_transmit_errs_total{device="en0"}': "6",
    'node_disk_read_time_seconds_total{device="disk0"}': "1.5",
    'node_filesystem_readonly{device="/dev/disk1s1",device_error="",fstype="apfs",mountpoint="/"}': "1",
    "node_boot_time_seconds": "900.0",
    'node_uname_info{domainname="lan",machine="arm64",nodename="mac",release="23.1.0",sysname="Darwin",'
    'version="Version 23"}': "1",
    'namedprocess_namegroup_num_procs{groupname="web of root"}': "2",
    'namedprocess_namegroup_memory_bytes{groupname="web of root",memtype="resident"}': "4194304",
    'namedprocess_namegroup_memory_bytes{groupname="web of root",memtype="virtual"}': "8388608",
    'namedprocess_namegroup_open_filedesc{groupname="web of root"}': "8",
    'namedprocess_namegroup_major_page_faults_total{groupname="web of root"}': "0",
    'selfheal_process_group_zombies{groupname="web of root"}': "1",
    "selfheal_zombies": "1",
}
_WINDOWS = {
    'node_cpu_seconds_total{cpu="0",mode="irq"}': "2.0",
    'node_cpu_seconds_total{cpu="0",mode="system"}': "4.0",
    "selfheal_emulated_load1": "0.5",
    "node_memory_MemTotal_bytes": "8388608",
    "node_memory_MemAvailable_bytes": "3145728",
    "selfheal_pagefile_size_bytes": "4194304",
    "selfheal_pagefile_used_bytes": "1048576",
    'node_network_transmit_drop_total{device="Ethernet 2"}': "8",
    'node_disk_written_bytes_total{device="PhysicalDrive0"}': "2048",
    r'node_filesystem_size_bytes{device="C:\\",device_error="",fstype="NTFS",mountpoint="C:\\"}': "100",
    r'node_filesystem_device_error{device="D:\\",device_error="the device is not ready",fstype="CDFS",'
    r'mountpoint="D:\\"}': "1",
    "node_context_switches_total": "1000",
    "node_intr_total": "2000",
    'node_uname_info{domainname="(none)",machine="AMD64",nodename="BOX",release="11",sysname="Windows",'
    'version="10.0.22631"}': "1",
    # the child is its parent's, and the process that is older than its parent is nobody's
    r'namedprocess_namegroup_num_procs{groupname="web of BOX\\alice"}': "2",
    r'selfheal_process_group_open_handles{groupname="web of BOX\\alice"}': "8",
    r'selfheal_process_group_committed_bytes{groupname="web of BOX\\alice"}': "4194304",
    r'selfheal_process_group_io_bytes_total{groupname="web of BOX\\alice",iomode="read"}': "0",
    # its arguments are hidden, and it is found by what it runs
    'namedprocess_namegroup_num_procs{groupname="agent.exe"}': "1",
}  # fmt: skip


def test_another_systems_page_comes_and_is_understood(page: tuple[str, dict[str, str]]) -> None:
    system, found = page
    expected = _DARWIN if system == "darwin" else _WINDOWS

    assert {series: found.get(series) for series in expected} == expected
    assert {value for series, value in found.items() if series.startswith("node_scrape_collector_success")} == {"1"}


def test_nothing_is_told_there_whose_meaning_is_another(page: tuple[str, dict[str, str]]) -> None:
    system, found = page
    absent = {
        "darwin": r"node_(intr|context_switches)_total|node_network_transmit_drop|node_memory_(free|MemFree)_bytes",
        "win32": r"node_load|node_memory_(MemFree|Swap)|namedprocess_namegroup_(read|write)_bytes|.*(virtual|zombies)",
    }[system]
    both = r"node_memory_Cached|namedprocess_namegroup_(states|context_switches_total)|node_disk_io_time"

    assert [series for series in found if re.match(f"{absent}|{both}", series)] == []
