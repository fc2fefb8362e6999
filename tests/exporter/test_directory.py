"""Folders are counted exactly, or not exported at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from exporter.settings import IncompleteError
from selfheal.common.clock import Clock, ManualClock, SystemClock
from tests.exporter.trees import create, values


class HastyClock(ManualClock):
    """A clock on which every look takes a tenth of a second."""

    def monotonic(self) -> float:
        """Return the time, and move it."""
        self.advance(0.1)
        return super().monotonic()


def count(root: Path, *folders: str, deadline: str = "2s", clock: Clock | None = None) -> dict[str, str]:
    """Count folders below a root."""
    flags = [f"--collector.directory.root={folder}" for folder in folders]
    flags.append(f"--collector.directory.deadline={deadline}")
    return values(create("directory", *flags, rootfs=root, clock=clock)())


def test_files_and_bytes_of_the_whole_tree_are_counted() -> None:
    assert values(create("directory", "--collector.directory.root=/srv/data")()) == {
        'selfheal_directory_bytes{directory="/srv/data"}': "110",
        'selfheal_directory_files{directory="/srv/data"}': "3",
    }


def test_without_folders_there_is_nothing_and_no_error() -> None:
    assert values(create("directory")()) == {}


def test_an_empty_folder_is_zero(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert set(count(tmp_path, "/empty").values()) == {"0"}


def test_links_are_not_followed_and_hard_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/big").write_bytes(b"x" * 1000)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").write_bytes(b"12345")
    (tmp_path / "in/b").hardlink_to(tmp_path / "in/a")
    (tmp_path / "in/file").symlink_to(tmp_path / "out/big")
    (tmp_path / "in/folder").symlink_to(tmp_path / "out")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in/pipe")

    assert count(tmp_path, "/in") == {
        'selfheal_directory_bytes{directory="/in"}': "5",
        'selfheal_directory_files{directory="/in"}': "1",
    }


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_bytes(b"123")
    (tmp_path / "link").symlink_to("real")

    assert count(tmp_path, "/link")['selfheal_directory_bytes{directory="/link"}'] == "3"


def test_a_folder_over_its_deadline_is_absent_and_the_others_stay(tmp_path: Path) -> None:
    for name, files in (("big", 1100), ("small", 1)):
        (tmp_path / name).mkdir()
        for number in range(files):
            (tmp_path / name / str(number)).touch()

    with pytest.raises(IncompleteError, match=r"^/big: not counted to the end in ") as caught:
        count(tmp_path, "/big", "/small", deadline="1s", clock=HastyClock())

    assert values(caught.value.families) == {
        'selfheal_directory_bytes{directory="/small"}': "0",
        'selfheal_directory_files{directory="/small"}': "1",
    }


@pytest.mark.parametrize("make", ["missing", "file"])
def test_a_root_that_cannot_be_read_is_absent(tmp_path: Path, make: str) -> None:
    if make == "file":
        (tmp_path / "file").touch()

    with pytest.raises(IncompleteError, match=f"/{make}") as caught:
        count(tmp_path, f"/{make}")

    assert values(caught.value.families) == {}


def test_a_part_that_cannot_be_read_makes_the_whole_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data/closed").mkdir(parents=True)
    (tmp_path / "data/file").touch()
    really_open = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        # root, who may run this test, is refused nothing
        if str(path).endswith("/closed"):
            raise PermissionError(13, "Permission denied", path)
        return really_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(IncompleteError, match="Permission denied") as caught:
        count(tmp_path, "/data")

    assert values(caught.value.families) == {}


def test_files_may_vanish_while_they_are_counted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            folder = tmp_path / "data/folder"
            folder.mkdir()
            (folder / "file").touch()
            (folder / "file").unlink()
            folder.rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(200):
            assert count(tmp_path, "/data", clock=SystemClock())['selfheal_directory_files{directory="/data"}'] in "01"
    finally:
        stop.set()
        thread.join()


def test_a_hung_file_system_is_given_up_and_not_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    answers = threading.Event()
    really_scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (answers.wait(30), really_scan(path))[1])
    flags = ["--collector.directory.root=/data", "--collector.directory.deadline=50ms"]
    collect = create("directory", *flags, rootfs=tmp_path, clock=SystemClock())
    threads = threading.active_count()
    try:
        for reason in ("no answer in", "the last call has not answered yet", "the last call has not answered yet"):
            with pytest.raises(IncompleteError, match=reason):
                collect()
        assert threading.active_count() <= threads + 1
    finally:
        answers.set()


def test_a_root_that_is_no_absolute_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        create("directory", "--collector.directory.root=data")

    assert "'data' is not an absolute path; write it from / on" in capsys.readouterr().err


def test_roots_may_come_from_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("SELFHEAL_COLLECTOR_DIRECTORY_ROOT", "/a,/b/")

    found = values(create("directory", rootfs=tmp_path)())

    assert [series for series in found if "bytes" in series] == [
        'selfheal_directory_bytes{directory="/a"}',
        'selfheal_directory_bytes{directory="/b"}',
    ]
