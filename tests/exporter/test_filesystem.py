"""Mounted file systems: which are exported, what an error looks like, and a mount that hangs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.procfs.mounts import parse_mounts
from selfheal.common.clock import SystemClock
from tests.exporter.trees import PROCFS, copied_procfs, create, values

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

    root = 'device="/dev/vda1",fstype="ext4",mountpoint="/"'
    assert found[f"node_filesystem_size_bytes{{{root}}}"] == str(1000 * 4096)
    assert found[f"node_filesystem_free_bytes{{{root}}}"] == str(400 * 4096)
    assert found[f"node_filesystem_avail_bytes{{{root}}}"] == str(300 * 4096)
    assert found[f"node_filesystem_files{{{root}}}"] == "50"
    assert found[f"node_filesystem_files_free{{{root}}}"] == "20"


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
    size = f'node_filesystem_size_bytes{{device="store:/export",{away}'
    answered = [values(collect()) for _ in range(50)]
    assert size in answered[-1]
    assert error not in answered[-1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "mountinfo is empty"),
        (b"27 1 254:0 / / rw,relatime", "not a line of mountinfo"),
        (b"27 1 254:0 / / rw - ext4", "not a line of mountinfo"),
    ],
    ids=["empty", "cut_before_dash", "cut_after_dash"],
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


def test_optional_fields_of_any_number_are_passed_over() -> None:
    (mount,) = parse_mounts(b"1 2 0:1 / /a\\134b rw shared:1 master:2 unbindable - fuse.x a\\011b rw,user=\xff\n")

    assert (mount.mountpoint, mount.device, mount.fstype) == ("/a\\b", "a\tb", "fuse.x")
