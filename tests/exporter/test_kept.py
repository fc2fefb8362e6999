"""Files that are opened once: procfs stays open, all else may be replaced, and no descriptor is lost."""

from __future__ import annotations

import gc
import os
import subprocess
from pathlib import Path

import pytest

from exporter.procfs.kept import KeptFile, read_file

PROC = Path("/proc")


def descriptors() -> set[str]:
    """Return what this process has open."""
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def test_a_file_of_procfs_is_opened_once_and_read_anew() -> None:
    kept = KeptFile(PROC / "self/stat")
    first = kept.read()
    opened = {path for path in descriptors() if path.endswith("/stat")}

    # it burns CPU until the kernel has counted some
    while kept.read() == first:
        sum(range(10_000))

    assert len(opened) == 1
    assert {path for path in descriptors() if path.endswith("/stat")} == opened


def test_a_file_of_sysfs_is_kept_open_too() -> None:
    files = list(Path("/sys/devices/system/cpu").glob("*possible"))
    kept = KeptFile(files[0])

    assert kept.read() == files[0].read_bytes()
    assert str(files[0]) in descriptors()


def test_the_descriptor_ends_with_the_object() -> None:
    kept = KeptFile(PROC / "loadavg")
    kept.read()
    assert any(path.endswith("/loadavg") for path in descriptors())
    del kept
    gc.collect()

    assert not any(path.endswith("/loadavg") for path in descriptors())


def test_a_file_that_is_written_while_it_is_read_is_not_taken_for_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("old")
    kept, pread = KeptFile(path), os.pread

    def read_and_grow(descriptor: int, count: int, offset: int) -> bytes:
        data = pread(descriptor, count, offset)
        with path.open("a") as file:
            file.write(".")
        return data[: 3 - offset]

    monkeypatch.setattr(os, "pread", read_and_grow)
    assert kept.read() == b"old"
    monkeypatch.undo()
    other.write_text("new")
    other.replace(path)

    assert kept.read() == b"new"


def test_a_file_longer_than_what_procfs_gives_at_once_comes_whole() -> None:
    kept = KeptFile(PROC / "self/maps")

    # the stack is among the last lines, pages behind the first
    for _ in range(3):
        data = kept.read()
        assert len(data) > 4096
        assert b"[stack]" in data
        assert data.endswith(b"\n")


def test_an_ordinary_file_may_be_replaced_by_another_of_its_name(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_text("first")
    kept = KeptFile(path)
    assert kept.read() == b"first"
    other.write_text("second")
    other.rename(path)

    assert kept.read() == b"second"
    assert not any(str(tmp_path) in opened for opened in descriptors())


def test_an_empty_file_may_be_replaced_too(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    path.touch()
    kept = KeptFile(path)
    assert kept.read() == b""
    other.write_text("second")
    other.rename(path)

    assert kept.read() == b"second"


def test_a_long_ordinary_file_comes_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 400
    (tmp_path / "file").write_bytes(data)

    assert KeptFile(tmp_path / "file").read() == data
    assert read_file(tmp_path / "file") == data


def test_what_it_was_opened_on_may_go() -> None:
    child = subprocess.Popen(["sleep", "60"])
    kept = KeptFile(PROC / str(child.pid) / "stat")
    try:
        assert kept.read().startswith(f"{child.pid} (".encode())
    finally:
        child.kill()
        child.wait()

    with pytest.raises(FileNotFoundError):
        kept.read()
    assert not any(f"/{child.pid}/stat" in opened for opened in descriptors())


def test_a_missing_file_is_an_error_until_it_is_there(tmp_path: Path) -> None:
    kept = KeptFile(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        kept.read()
    (tmp_path / "file").write_text("now")

    assert kept.read() == b"now"
