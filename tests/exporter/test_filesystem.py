"""Mounted file systems: which are exported, what an error looks like, and a mount that hangs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.procfs.mounts import parse_mounts
from selfheal.common.clock import SystemClock
from tests.exporter.trees import PROCFS, copied_procfs, create, values, wait_until
from tests.tools import do_without

ROOM = os.statvfs_result((4096, 4096, 1000, 400, 300, 50, 20, 19, 0, 255))


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every mount below the captured root the same sizes."""
    monkeypatch.setattr(os, "statvfs", lambda _: ROOM)


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let the network mount hang until the event is set; it is set at the end at the latest."""
    answers = threading.Event()

    def statvfs(path: Path) -> os.statvfs_result:
        if str(path).endswith("/away"):
            answers.wait(30)
        return ROOM

    monkeypatch.setattr(os, "statvfs", statvfs)
    yield answers
    answers.set()


def test_sizes_are_node_exporters() -> None:
    found = values(create("filesystem")())

    root = 'device="/dev/vda1",device_error="",fstype="ext4",mountpoint="/"'
    assert found[f"node_filesystem_size_bytes{{{root}}}"] == str(1000 * 4096)
    assert found[f"node_filesystem_free_bytes{{{root}}}"] == str(400 * 4096)
    assert found[f"node_filesystem_avail_bytes{{{root}}}"] == str(300 * 4096)
    assert found[f"node_filesystem_files{{{root}}}"] == "50"
    assert found[f"node_filesystem_files_free{{{root}}}"] == "20"
    assert found['node_filesystem_mount_info{device="/dev/vda1",major="254",minor="0",mountpoint="/"}'] == "1"


def test_the_kernels_own_mounts_are_left_out_and_escapes_are_read() -> None:
    found = values(create("filesystem")())

    points = {series.rpartition("mountpoint=")[2] for series in found}
    assert points == {'"/"}', '"/srv/old disk"}', '"/run"}', '"/srv/away"}'}


def test_a_read_only_mount_says_so() -> None:
    found = values(create("filesystem")())

    readonly = {series: value for series, value in found.items() if series.startswith("node_filesystem_readonly")}
    assert [series for series, value in readonly.items() if value == "1"] == [
        'node_filesystem_readonly{device="/dev/vdb1",device_error="",fstype="xfs",mountpoint="/srv/old disk"}'
    ]


@pytest.mark.parametrize(
    ("flags", "points"),
    [
        (["--collector.filesystem.mount-points-exclude=^/(run|srv|proc|sys|dev)($|/)"], {"/"}),
        (["--collector.filesystem.mount-points-include=^/srv"], {"/srv/old disk", "/srv/away"}),
        (["--collector.filesystem.fs-types-include=^xfs$"], {"/srv/old disk"}),
        (["--collector.filesystem.fs-types-exclude=^(xfs|nfs4|tmpfs)$"], {"/"}),
    ],
)
def test_filters_choose_mounts(flags: list[str], points: set[str]) -> None:
    found = values(create("filesystem", *flags)())

    assert {series.rpartition("mountpoint=")[2][1:-2] for series in found} == points


@pytest.mark.parametrize("what", ["mount-points", "fs-types"])
def test_include_and_exclude_together_are_refused(what: str) -> None:
    flag = f"--collector.filesystem.{what}"

    with pytest.raises(ValueError, match=f"{flag}-include and -exclude contradict each other"):
        create("filesystem", f"{flag}-include=a", f"{flag}-exclude=b")


def test_a_mount_that_refuses_has_an_error_and_no_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    def statvfs(path: Path) -> os.statvfs_result:
        if str(path).endswith("/run"):
            raise PermissionError(13, "Permission denied")
        return ROOM

    monkeypatch.setattr(os, "statvfs", statvfs)
    found = values(create("filesystem")())

    run = 'device_error="permission denied",fstype="tmpfs",mountpoint="/run"'
    assert found[f'node_filesystem_device_error{{device="tmpfs",{run}}}'] == "1"
    assert not [series for series in found if "size_bytes" in series and "/run" in series]
    assert len([series for series in found if "size_bytes" in series]) == 3


def test_a_mount_that_hangs_costs_only_itself_and_is_asked_again_when_it_answers(hung: threading.Event) -> None:
    collect = create("filesystem", "--collector.filesystem.mount-timeout=50ms", clock=SystemClock())
    away = 'fstype="nfs4",mountpoint="/srv/away"}'
    error = f'node_filesystem_device_error{{device="store:/export",device_error="mountpoint timeout",{away}'
    threads = threading.active_count()

    for _ in range(5):
        found = values(collect())
        assert found[error] == "1"
        assert len([series for series in found if "size_bytes" in series]) == 3
    # one thread waits with the mount and one serves the others, however often it was asked
    assert threading.active_count() <= threads + 2

    hung.set()
    size = f'node_filesystem_size_bytes{{device="store:/export",device_error="",{away}'
    wait_until(lambda: size in values(collect()))
    assert error not in values(collect())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "mountinfo is empty"),
        (b"27 1 254:0 / / rw,relatime", "not a line of mountinfo"),
        (b"27 1 254:0 / / rw - ext4", "not a line of mountinfo"),
        (b"27 1 254 / / rw - ext4 /dev/vda1 rw", "no device number in mountinfo"),
    ],
    ids=["empty", "cut_before_dash", "cut_after_dash", "no_number"],
)
def test_a_broken_mount_table_is_an_error(tmp_path: Path, data: bytes, reason: str) -> None:
    procfs = copied_procfs(tmp_path)
    (procfs / "1/mountinfo").write_bytes(data)

    with pytest.raises(ValueError, match=reason):
        create("filesystem", procfs=procfs)()


def test_our_own_mount_table_is_the_second_choice(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_bytes((PROCFS / "1/mountinfo").read_bytes())

    assert len([s for s in values(create("filesystem", procfs=tmp_path)()) if "size_bytes" in s]) == 4


def test_without_any_mount_table_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        create("filesystem", procfs=tmp_path)()


def mount_table(tmp_path: Path, *mounts: str) -> Path:
    (tmp_path / "1").mkdir(exist_ok=True)
    (tmp_path / "1/mountinfo").write_text("".join(f"{number} 1 {mount}\n" for number, mount in enumerate(mounts)))
    return tmp_path


def in_own_namespace(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a mount namespace of its own, where nobody else mounts and nobody else sees it."""
    program = shutil.which("unshare")
    if program is None:
        do_without("unshare not found: install it (Debian's package util-linux)")
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = [program, "--mount", *as_root, sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def test_a_mount_table_that_changes_is_read_again(tmp_path: Path) -> None:
    procfs = mount_table(tmp_path, "8:1 / / rw - ext4 /dev/sda1 rw")
    collect = create("filesystem", procfs=procfs)
    collect()

    mount_table(tmp_path, "8:1 / / rw - ext4 /dev/sda1 rw", "8:2 / /home rw - ext4 /dev/sda2 rw")

    assert len([series for series in values(collect()) if "size_bytes" in series]) == 2


@pytest.mark.parametrize(
    ("mount", "readonly"), [("ro - ext4 a rw", "1"), ("rw - ext4 a ro", "1"), ("rw - x a rw", "0")]
)
def test_a_file_system_that_the_kernel_has_frozen_is_read_only(tmp_path: Path, mount: str, readonly: str) -> None:
    found = values(create("filesystem", procfs=mount_table(tmp_path, f"8:1 / / {mount}"))())

    assert [value for series, value in found.items() if "readonly" in series] == [readonly]


def test_what_is_read_only_for_us_alone_is_not_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as for a service with ProtectSystem=strict
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*ROOM[:8], os.ST_RDONLY, 255)))

    for root in ("/", "/host"):
        collect = create("filesystem", procfs=mount_table(tmp_path, "8:1 / / rw - ext4 a rw"), rootfs=Path(root))
        assert [value for series, value in values(collect()).items() if "readonly" in series] == ["0"]


def test_what_turns_read_only_without_a_word_to_the_table_says_so_at_once(tmp_path: Path) -> None:
    # whoever remounts in another namespace changes the file system, and only that namespace's table is said to change
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/1").symlink_to("/proc/self")
    code = (
        "import subprocess, sys; from pathlib import Path; from tests.exporter.trees import create, values\n"
        "here, procfs = sys.argv[1:]\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'none', here], check=True)\n"
        "flag = f'--collector.filesystem.mount-points-include=^{here}$'\n"
        "collect = create('filesystem', flag, procfs=Path(procfs), rootfs=Path('/'))\n"
        "def tell():\n"
        "    print(*(value for series, value in values(collect()).items() if 'readonly' in series))\n"
        "tell(); tell()\n"
        "elsewhere = ['unshare', '--mount', '--propagation', 'private']\n"
        "subprocess.run([*elsewhere, 'mount', '-o', 'remount,ro', here], check=True)\n"
        "tell()"
    )

    result = in_own_namespace(code, str(mounted), str(tmp_path / "proc"))

    assert (result.stdout, result.stderr) == ("0\n0\n1\n", "")


def test_a_table_is_read_again_only_when_something_is_mounted(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; from pathlib import Path; from exporter.procfs.mounts import MountTable\n"
        "table = MountTable(Path('/proc/self/mountinfo')); here = sys.argv[1]\n"
        "first = table.read_changed(); assert first and here.encode() not in first\n"
        "assert table.read_changed() is None and table.read_changed(anyway=True) == first\n"
        "subprocess.run(['mount', '-t', 'tmpfs', 'none', here], check=True)\n"
        "assert here.encode() in table.read_changed() and table.read_changed() is None\n"
        "subprocess.run(['umount', here], check=True)\n"
        "assert here.encode() not in table.read_changed() and table.read_changed() is None\n"
        "print('seen')"
    )
    result = in_own_namespace(code, str(tmp_path))

    assert (result.stdout, result.stderr) == ("seen\n", "")


@pytest.mark.parametrize("kind", ["ext4", "xfs", "tmpfs", "nfs4"])
def test_no_kind_of_mount_can_hold_the_page(tmp_path: Path, hung: threading.Event, kind: str) -> None:
    procfs = mount_table(tmp_path, "8:1 / / rw - ext4 a rw", f"8:2 / /away rw - {kind} b rw")
    flag = "--collector.filesystem.mount-timeout=100ms"

    found = values(create("filesystem", flag, procfs=procfs, clock=SystemClock())())

    stuck = f'device="b",device_error="mountpoint timeout",fstype="{kind}",mountpoint="/away"'
    assert found[f"node_filesystem_device_error{{{stuck}}}"] == "1"
    assert [series for series in found if "size_bytes" in series] == [
        'node_filesystem_size_bytes{device="a",device_error="",fstype="ext4",mountpoint="/"}'
    ]


def test_a_mount_point_whose_name_is_no_text_is_asked_by_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(os, "statvfs", lambda path: (asked.append(path), ROOM)[1])
    procfs = mount_table(tmp_path)
    (procfs / "1/mountinfo").write_bytes(b"1 1 8:1 / /caf\xe9 rw - ext4 \xe9 rw\n2 1 8:2 / /caf\xe8 rw - ext4 x rw\n")

    found = values(create("filesystem", procfs=procfs, rootfs=Path("/"))())

    assert [os.fsencode(path) for path in asked] == [b"/caf\xe9", b"/caf\xe8"]
    assert [series for series in found if "size_bytes" in series] == [
        f'node_filesystem_size_bytes{{device="{device}",device_error="",fstype="ext4",mountpoint="/caf\ufffd"}}'
        for device in ("\ufffd", "x")
    ]


def test_the_same_mounted_on_itself_is_one_series(tmp_path: Path) -> None:
    procfs = mount_table(tmp_path, "0:5 / /x ro - tmpfs none rw", "0:6 / /x rw - tmpfs none rw")

    found = values(create("filesystem", procfs=procfs)())

    assert len(found) == 8
    assert found['node_filesystem_readonly{device="none",device_error="",fstype="tmpfs",mountpoint="/x"}'] == "1"


def test_below_a_mounted_root_mount_points_are_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(os, "statvfs", lambda path: asked.append(path) or ROOM)
    mounts = [
        f"8:{number} / {at} rw - ext4 a{number} rw" for number, at in enumerate(("/host", "/host/srv", "/hosted"))
    ]

    found = values(create("filesystem", procfs=mount_table(tmp_path, *mounts), rootfs=Path("/host"))())

    assert {series.rpartition("mountpoint=")[2][1:-2] for series in found} == {"/", "/srv", "/hosted"}
    assert asked == ["/host/", "/host/srv", "/host/hosted"]


def test_many_that_hang_cost_one_scrape_a_bounded_time_and_the_good_ones_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a1", "good1", "a2", "a3", "good2", "a4", "a5"]
    mounts = [f"0:{number} / /{name} rw - nfs4 {name} rw" for number, name in enumerate(names)]
    answers = threading.Event()
    asked: list[str] = []

    def statvfs(path: str) -> os.statvfs_result:
        asked.append(path.rpartition("/")[2])
        if "good" not in path:
            answers.wait(30)
        return ROOM

    monkeypatch.setattr(os, "statvfs", statvfs)
    flags = ["--collector.filesystem.mount-timeout=300ms", "--collector.filesystem.stat-workers=2"]
    collect = create("filesystem", *flags, procfs=mount_table(tmp_path, *mounts), clock=SystemClock())
    try:
        sizes = []
        for _ in range(4):
            found = values(collect())
            assert len([series for series in found if "device_error{" in series]) == len(names)
            sizes.append(sorted(series.split('"')[1] for series in found if "size_bytes" in series))
        # two hung in the first round; what was behind them had its turn later, and who hangs was asked once only
        assert sizes == [["good1"], ["good1", "good2"], ["good1", "good2"], ["good1", "good2"]]
        assert sorted(name for name in asked if "good" not in name) == ["a1", "a2", "a3", "a4", "a5"]
        times = len(asked)
    finally:
        answers.set()

    # whoever was given up goes home when the mount answers, and asks no others on the way
    del collect
    wait_until(lambda: "filesystem" not in [thread.name for thread in threading.enumerate()])
    assert len(asked) == times


def test_slow_mounts_that_go_on_are_not_taken_for_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [f"0:{number} / /m{number} rw - nfs4 m{number} rw" for number in range(12)]
    pause = threading.Event()
    monkeypatch.setattr(os, "statvfs", lambda _: (pause.wait(0.08), ROOM)[1])
    flag = "--collector.filesystem.mount-timeout=600ms"

    found = values(create("filesystem", flag, procfs=mount_table(tmp_path, *mounts), clock=SystemClock())())

    assert len([series for series in found if "size_bytes" in series]) == 12


def test_optional_fields_of_any_number_are_passed_over() -> None:
    (mount,) = parse_mounts(b"1 2 0:1 / /a\\134b rw shared:1 master:2 unbindable - fuse.x a\\011b rw,user=\xff\n")

    assert (mount.mountpoint, mount.device, mount.fstype) == ("/a\\b", "a\\011b", "fuse.x")
